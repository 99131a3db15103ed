# Two-level models by lavaan, on data simulated here (rows.csv) and on Demo.twolevel of lavaan (cluster statistics only).
# Usage, in this folder: Rscript make.R <csv of Demo.twolevel>
suppressPackageStartupMessages({ library(lavaan); library(jsonlite) })
demo <- commandArgs(TRUE)[1]
TIGHT <- list(control = list(iter.max = 20000, eval.max = 40000),
              em.h1.iter.max = 50000L, em.h1.tol = 1e-12)
fit <- function(f, model, data, ...) do.call(f, c(list(model = model, data = data, cluster = "cluster", ...), TIGHT))
PE <- function(f) as.list(parameterEstimates(f)[, intersect(c("lhs", "op", "rhs", "level", "label", "est", "se"), names(parameterEstimates(f)))])
ST <- function(f) as.list(standardizedSolution(f)[, c("lhs", "op", "rhs", "est.std", "se")])
out <- function(f, ...) list(converged = lavInspect(f, "converged"), gradient = max(abs(lavInspect(f, "gradient"))),
                             fit = as.list(fitMeasures(f)), estimates = PE(f), standardized = ST(f), ...)
set.seed(20211)
sizes <- c(rep(2:6, 12), rep(8, 10), rep(11, 5)); J <- length(sizes); cl <- rep(seq_len(J), sizes); N <- length(cl)
z <- rnorm(J); b <- 0.4 * z + rnorm(J, sd = 0.7)
x <- rnorm(N); w <- 0.5 * x + rnorm(N)
lw <- c(1, 0.9, 0.8, 0.6); lb <- c(1, 0.9, 1.1, 0.7)
skew <- function(n, s) (rchisq(n, 4) - 4) / sqrt(8) * s
rows <- data.frame(cluster = cl)
for (k in 1:4) rows[[paste0("y", k)]] <- round(0.2 * k + lw[k] * w + skew(N, 0.8) + (lb[k] * b + rnorm(J, sd = 0.55))[cl], 4)
rows$x <- round(x, 4); rows$z <- round(z[cl], 4)
rows$missing1 <- rows$y1; rows$missing1[sample(N, 60)] <- NA
rows$missing2 <- rows$y2; rows$missing2[rows$y1 > 1.2 & runif(N) < .6] <- NA
rows$missing3 <- rows$y3; rows$missing3[sample(N, 40)] <- NA
gone <- sample(J, 6); rows$missing_z <- rows$z; rows$missing_z[rows$cluster %in% gone] <- NA
write.csv(rows, "rows.csv", row.names = FALSE, na = "")
rows <- read.csv("rows.csv", na.strings = "")
models <- list(
  cfa = "level: 1\n fw =~ y1 + y2 + y3 + y4\nlevel: 2\n fb =~ y1 + y2 + y3 + y4",
  equal = "level: 1\n fw =~ y1 + a*y2 + b*y3 + c*y4\nlevel: 2\n fb =~ y1 + a*y2 + b*y3 + c*y4",
  sem = "level: 1\n fw =~ y1 + y2 + y3 + y4\n fw ~ x\nlevel: 2\n fb =~ y1 + y2 + y3 + y4\n fb ~ z",
  context = "level: 1\n fw =~ y1 + y2 + y3\n y4 ~ bw*fw\nlevel: 2\n fb =~ y1 + y2 + y3\n y4 ~ bb*fb + z\n context := bb - bw",
  path = "level: 1\n y1 ~ x + y4\n y4 ~ x\nlevel: 2\n y1 ~ y4 + z\n y4 ~ z")
res <- list()
for (m in names(models)) for (e in c("ML", "MLR")) {
  f <- fit("sem", models[[m]], rows, estimator = e)
  res[[paste0("rows_", m, "_", e)]] <- out(f, model = models[[m]])
}
f <- fit("sem", models$cfa, rows)
pred <- function(f, level) { p <- lavPredict(f, level = level); list(names = colnames(p), values = unname(as.data.frame(p))) }
res$scores <- list(model = models$cfa, within = pred(f, 1L), between = pred(f, 2L))
f <- fit("sem", models$sem, rows)
res$scores_sem <- list(model = models$sem, within = pred(f, 1L), between = pred(f, 2L))
f <- fit("sem", models$cfa, rows)
mi <- modindices(f); res$modification <- as.list(mi[, c("lhs", "op", "rhs", "level", "mi", "epc")])
partial <- function(inner, outer) c(fitMeasures(fit("sem", paste0("level: 1\n", inner, "\nlevel: 2\n", outer), rows), c("chisq", "df", "baseline.chisq", "logl")))
all4 <- "y1 ~~ y2 + y3 + y4\n y2 ~~ y3 + y4\n y3 ~~ y4\n y1 ~~ y1\n y2 ~~ y2\n y3 ~~ y3\n y4 ~~ y4"
alone <- "y1 ~~ y1\n y2 ~~ y2\n y3 ~~ y3\n y4 ~~ y4"
one <- "f =~ y1 + y2 + y3 + y4"
res$levels <- list(within = as.list(partial(one, all4)), within_alone = as.list(partial(alone, all4)),
                   between = as.list(partial(all4, one)), between_alone = as.list(partial(all4, alone)))
mm <- list(fiml = "level: 1\n fw =~ missing1 + missing2 + missing3 + y4\nlevel: 2\n fb =~ missing1 + missing2 + missing3 + y4",
           fiml_z = "level: 1\n fw =~ missing1 + missing2 + missing3 + y4\nlevel: 2\n fb =~ missing1 + missing2 + missing3 + y4\n z ~~ fb",
           fiml_missing_z = "level: 1\n fw =~ missing1 + missing2 + missing3 + y4\nlevel: 2\n fb =~ missing1 + missing2 + missing3 + y4\n missing_z ~~ fb")
for (m in names(mm)) for (e in c("ML", "MLR")) {
  f <- try(fit("sem", mm[[m]], rows, estimator = e, missing = "ml"))
  if (!inherits(f, "try-error")) res[[paste0(m, "_", e)]] <- list(model = mm[[m]], converged = lavInspect(f, "converged"), gradient = max(abs(lavInspect(f, "gradient"))), logl = as.numeric(logLik(f)), estimates = PE(f), fit = as.list(try(fitMeasures(f))))
}
d <- read.csv(demo); v <- setdiff(names(d), "cluster")
n <- as.numeric(table(d$cluster)); means <- as.matrix(aggregate(d[, v], list(d$cluster), mean)[, -1])
inner <- as.matrix(d[, v]) - means[match(d$cluster, sort(unique(d$cluster))), ]
stat <- list(names = v, n = sort(unique(n)), count = as.numeric(table(n)), within = unname(crossprod(inner)))
stat$mean <- lapply(stat$n, function(s) unname(colMeans(means[n == s, ])))
stat$scatter <- lapply(stat$n, function(s) { m <- means[n == s, ]; unname(crossprod(sweep(m, 2, colMeans(m)))) })
res$demo_statistics <- stat
dm <- list(two = "level: 1\n f1 =~ y1+y2+y3\n f2 =~ y4+y5+y6\nlevel: 2\n f3 =~ y1+y2+y3\n f4 =~ y4+y5+y6",
           sem = "level: 1\n fw =~ y1+y2+y3\n fw ~ x1+x2+x3\nlevel: 2\n fb =~ y1+y2+y3\n fb ~ w1+w2",
           latent_context = "level: 1\n fw =~ y1+y2+y3\n fx =~ y4+y5+y6\n fw ~ bw*fx\nlevel: 2\n fb =~ y1+y2+y3\n fz =~ y4+y5+y6\n fb ~ bb*fz + w1\n ctx := bb-bw")
for (m in names(dm)) { f <- fit("sem", dm[[m]], d); res[[paste0("demo_", m)]] <- out(f, model = dm[[m]]) }
f <- fit("sem", dm$sem, d, fixed.x = FALSE); res$demo_sem_random <- out(f, model = dm$sem)
res$meta <- list(R = R.version.string, lavaan = as.character(packageVersion("lavaan")), date = format(Sys.Date()), script = "make.R")
writeLines(toJSON(res, digits = 15, auto_unbox = TRUE, na = "null"), "lavaan.json")
