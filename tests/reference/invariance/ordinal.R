# Rscript ordinal.R OUT: ordered items, simulated here; lavaan and semTools answer. See README.md.
suppressPackageStartupMessages({ library(lavaan); library(semTools); library(jsonlite) })
out <- commandArgs(TRUE)[1]; options(warn = 1)
cut_at <- function(y, cuts) as.integer(cut(y, c(-Inf, cuts, Inf)))
set.seed(20240)
# --- three groups; items of 2, 3, 4 and 5 categories, two factors, shifted intercept of y3 in group b
sizes <- c(a = 450, b = 400, c = 350); means <- c(a = 0, b = .4, c = -.2)
cuts <- list(y1 = c(-.6, .3, 1), y2 = c(-1, 0, .8), y3 = c(-.9, -.1, .5, 1.3), y4 = c(-.5, .6), y5 = 0.2,
             z1 = c(-.7, .2), z2 = c(-.2, .9), z3 = c(-.6, .1, .9), z4 = -.3)
load <- c(y1 = .8, y2 = .7, y3 = .75, y4 = .65, y5 = .7, z1 = .7, z2 = .8, z3 = .6, z4 = .75)
groups <- do.call(rbind, lapply(names(sizes), function(g) { n <- sizes[g]; f <- rnorm(n) + means[g]; h <- .5 * f + sqrt(.75) * rnorm(n)
  d <- as.data.frame(lapply(names(cuts), function(v) { t <- if (substr(v, 1, 1) == "y") f else h
    cut_at(load[v] * t + sqrt(1 - load[v]^2) * rnorm(n) + (v == "y3" & g == "b") * .5, cuts[[v]]) })); names(d) <- names(cuts); d$group <- g; d }))
write.csv(groups, file.path(out, "groups.csv"), row.names = FALSE, quote = FALSE)
# --- three waves of the same 500 persons; items of 4 categories, last of 3
n <- 500; T <- 3; e <- lapply(1:4, function(k) rnorm(n)); f <- rnorm(n); waves <- list()
for (t in 1:T) { if (t > 1) f <- .7 * f + sqrt(.51) * rnorm(n); ft <- f + .25 * (t - 1)
  for (k in 1:4) { l <- c(.8, .7, .75, .65)[k]; y <- l * ft + sqrt(1 - l^2) * (.5 * e[[k]] + sqrt(.75) * rnorm(n))
    waves[[paste0("q", k, "_", t)]] <- cut_at(y, if (k == 4) c(-.6, .7) else c(-.9, .1, 1)) } }
waves <- as.data.frame(waves); holes <- matrix(runif(n * 12) < .04, n); incomplete <- waves; incomplete[holes] <- NA
write.csv(waves, file.path(out, "waves.csv"), row.names = FALSE, quote = FALSE)
write.csv(incomplete, file.path(out, "waves_incomplete.csv"), row.names = FALSE, quote = FALSE, na = "")
KEEP <- c("npar", "chisq", "df", "chisq.scaled", "df.scaled", "pvalue.scaled", "chisq.scaling.factor", "baseline.chisq", "baseline.df", "baseline.chisq.scaled", "cfi", "tli", "cfi.scaled", "tli.scaled", "rmsea", "rmsea.scaled", "rmsea.ci.lower.scaled", "rmsea.ci.upper.scaled", "srmr", "crmr", "logl", "aic", "bic")
FIT <- function(f) { m <- unclass(fitMeasures(f)); e <- as.data.frame(unclass(parameterEstimates(f))); if (is.null(e$group)) e$group <- 1L
  list(converged = lavInspect(f, "converged"), fit = as.list(m[intersect(KEEP, names(m))]), estimates = as.list(e[, c("lhs", "op", "rhs", "group", "est", "se", "ci.lower", "ci.upper")])) }
LRT <- function(...) as.list(as.data.frame(unclass(lavTestLRT(...))))
STEPS <- list(configural = "", thresholds = "thresholds", metric = c("thresholds", "loadings"), scalar = c("thresholds", "loadings", "intercepts"), strict = c("thresholds", "loadings", "intercepts", "residuals"))
fitstep <- function(m, d, items, eq, param, long = FALSE, part = "", ...) { a <- list(configural.model = m, data = d, ordered = items, parameterization = param, ID.fac = "std.lv", ID.cat = "Wu", return.fit = TRUE, ...)
  if (long) { a$long.equal <- eq; a$long.partial <- part } else { a$group.equal <- eq; a$group.partial <- part }; do.call(measEq.syntax, a) }
SEQ <- function(m, d, items, param = "theta", keep = names(STEPS), long = FALSE, part = "", ...) {
  fs <- list(); o <- list()
  for (s in keep) { f <- tryCatch(fitstep(m, d, items, STEPS[[s]], param, long, part, ...), error = function(e) conditionMessage(e)); if (is.character(f)) { o[[s]] <- list(ERROR = f); next }; fs[[s]] <- f; o[[s]] <- FIT(f) }
  ch <- sapply(fs, function(f) fitMeasures(f, "df")); o$lrt <- list(); for (i in seq_along(fs)[-1]) if (ch[i] > ch[i-1]) { l <- tryCatch(LRT(fs[[i-1]], fs[[i]]), error = function(e) list(ERROR = conditionMessage(e))); o$lrt[[names(fs)[i]]] <- l }
  cat(keep, ":", ch, "\n"); o }
res <- list(meta = list(R = R.version.string, packages = sapply(c("lavaan", "semTools"), function(p) as.character(packageVersion(p))), script = "ordinal.R"))
two <- "f =~ y1 + y2 + y3 + y4 + y5\ng =~ z1 + z2 + z3 + z4"
items <- names(cuts)
res$mixed <- SEQ(two, groups, items, group = "group")
res$delta <- SEQ("f =~ y1 + y2 + y3 + y4 + y5", groups, paste0("y", 1:5), param = "delta", keep = names(STEPS)[1:4], group = "group")
res$theta <- SEQ("f =~ y1 + y2 + y3 + y4 + y5", groups, paste0("y", 1:5), group = "group")
three <- groups; for (v in paste0("y", 1:4)) three[[v]] <- pmin(three[[v]], 3)
res$three <- SEQ("f =~ y1 + y2 + y3 + y4", three, paste0("y", 1:4), group = "group")
bin <- groups; for (v in items) bin[[v]] <- as.integer(bin[[v]] > 1)
res$binary <- SEQ("f =~ y1 + y2 + y3 + y4 + y5", bin, paste0("y", 1:5), group = "group")
res$partial <- SEQ("f =~ y1 + y2 + y3 + y4 + y5", groups, paste0("y", 1:5), group = "group", part = c("y3~1", "y2|t2"))
lm3 <- paste0("F", 1:3, " =~ ", sapply(1:3, function(t) paste0("q", 1:4, "_", t, collapse = " + ")), collapse = "\n")
res$waves <- SEQ(lm3, waves, names(waves), long = TRUE, longFacNames = list(F = paste0("F", 1:3)), longIndNames = lapply(1:4, function(k) paste0("q", k, "_", 1:3)) |> setNames(paste0("q", 1:4)), auto = "all")
# thresholds and loadings equal; with two categories the residual variance of later groups is free (Wu & Estabrook, 2016)
two <- "f =~ y1 + y2 + y3 + y4 + y5\ng =~ z1 + z2 + z3 + z4"
items <- setdiff(names(groups), "group"); G <- 3
three <- function(a, b) paste0("c(", a, ",", b, ",", b, ")"); same <- function(l) paste0("c(", l, ",", l, ",", l, ")")
line <- function(f, its) paste0(f, " =~ ", paste0(three("NA", "NA"), "*", its, " + ", same(paste0("l", its)), "*", its, collapse = " + "))
metric <- paste(c(line("f", items[1:5]), line("g", items[6:9]),
  unlist(lapply(items, function(v) paste0(v, " | ", same(paste0(v, "t", seq_len(max(groups[[v]]) - 1))), "*t", seq_len(max(groups[[v]]) - 1)))),
  paste0(items, " ~ ", three(0, NA), "*1"), paste0(items, " ~~ ", three(1, NA), "*", items),
  paste0(c("f", "g"), " ~ ", three(0, 0), "*1"), paste0(c("f", "g"), " ~~ ", three(1, NA), "*", c("f", "g")), "f ~~ g"), collapse = "\n")
thr <- measEq.syntax(configural.model = two, data = groups, ordered = items, parameterization = "theta", ID.fac = "std.lv", ID.cat = "Wu", group = "group", group.equal = "thresholds", return.fit = TRUE)
sca <- measEq.syntax(configural.model = two, data = groups, ordered = items, parameterization = "theta", ID.fac = "std.lv", ID.cat = "Wu", group = "group", group.equal = c("thresholds", "loadings", "intercepts"), return.fit = TRUE)
met <- lavaan(metric, groups, group = "group", ordered = items, parameterization = "theta", estimator = "WLSMV")
print(fitMeasures(met, c("df", "chisq")))
res$mixed_metric <- list(model = metric, metric = FIT(met), lrt = list(metric = LRT(thr, met), scalar = LRT(met, sca)))
st <- tryCatch(lavTestScore(sca), error = function(e) conditionMessage(e)); print(head(st$uni)); if (!is.character(st)) res$mixed_score <- as.list(as.data.frame(unclass(st$uni)))
res$mixed_score_rows <- as.list(parTable(sca)[c("lhs", "op", "rhs", "group", "plabel")])
# --- continuous items over waves
lm3 <- paste0("F", 1:3, " =~ ", sapply(1:3, function(t) paste0("q", 1:4, "_", t, collapse = " + ")), collapse = "\n")
STEPS <- list(configural = "", metric = "loadings", scalar = c("loadings", "intercepts"), strict = c("loadings", "intercepts", "residuals"))
LONG <- function(d, ...) { fs <- lapply(STEPS, function(eq) measEq.syntax(configural.model = lm3, data = d, ID.fac = "std.lv", long.equal = eq, longFacNames = list(F = paste0("F", 1:3)), longIndNames = lapply(1:4, function(k) paste0("q", k, "_", 1:3)) |> setNames(paste0("q", 1:4)), auto = "all", return.fit = TRUE, meanstructure = TRUE, ...))
  o <- lapply(fs, FIT); o$lrt <- LRT(fs[[1]], fs[[2]], fs[[3]], fs[[4]]); o }
res$waves_ML <- LONG(waves); res$waves_MLR_fiml <- LONG(incomplete, estimator = "MLR", missing = "fiml")
print(res$waves_ML$lrt); print(res$waves_MLR_fiml$lrt)
writeLines(toJSON(res, digits = NA, auto_unbox = TRUE, na = "null", null = "null", force = TRUE), file.path(out, "ordinal.json"))
