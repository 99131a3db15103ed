# What the larger reference folder does not hold: run with lavaan 0.6-14. Rscript more.R > more.json
suppressPackageStartupMessages({ library(lavaan); library(jsonlite) })
hs <- HolzingerSwineford1939; pd <- PoliticalDemocracy; hm <- read.csv("hs_missing.csv", na.strings = "NA")
m <- "visual =~ x1+x2+x3\ntextual =~ x4+x5+x6\nspeed =~ x7+x8+x9"
ctl <- list()
FIT <- function(f, drop = "gfi") { x <- unclass(fitMeasures(f)); as.list(x[!is.na(x)]) }
OUT <- function(f, std = TRUE) TRY({ f <- f; p <- as.list(as.data.frame(unclass(parameterEstimates(f)))); r <- list(fit = FIT(f), estimates = p); if (std) r$standardized <- as.list(as.data.frame(unclass(standardizedSolution(f)))); r$converged <- lavInspect(f, "converged"); r })
TRY <- function(e) tryCatch(suppressWarnings(e), error = function(c) list(ERROR = conditionMessage(c)))
res <- list(meta = list(R = R.version.string, lavaan = as.character(packageVersion("lavaan")), control = "default"))
mim <- paste0(m, "\nvisual + textual + speed ~ sex + ageyr")
res$mimic <- OUT(sem(mim, hs, control = ctl)); res$mimic_random_x <- OUT(sem(mim, hs, fixed.x = FALSE, control = ctl)); res$mimic_mlr <- OUT(sem(mim, hs, estimator = "MLR", control = ctl)); res$mimic_mlm <- OUT(sem(mim, hs, estimator = "MLM", control = ctl)); res$mimic_means <- OUT(sem(mim, hs, meanstructure = TRUE, control = ctl))
res$mimic_groups <- OUT(sem(paste0(m, "\nvisual + textual + speed ~ sex"), hs, group = "school", control = ctl))
res$bifactor <- OUT(cfa("g =~ x1+x2+x3+x4+x5+x6+x7+x8+x9\nt =~ x4+x5+x6\ns =~ x7+x8+x9", hs, orthogonal = TRUE, std.lv = TRUE, control = ctl))
med <- "ind60 =~ x1+x2+x3\ndem60 =~ y1+y2+y3+y4\ndem65 =~ y5+y6+y7+y8\ndem60 ~ a*ind60\ndem65 ~ cp*ind60+b*dem60\nind := a*b\ntotal := cp + a*b\nratio := ind/total"
res$mediation <- OUT(sem(med, pd, control = ctl)); res$mediation_mlr <- OUT(sem(med, pd, estimator = "MLR", control = ctl))
hs$w <- hs$ageyr - 10
res$weights <- OUT(cfa(m, hs, sampling.weights = "w", control = ctl)); res$weights_mlr <- OUT(cfa(m, hs, sampling.weights = "w", estimator = "MLR", control = ctl)); res$weights_means <- OUT(cfa(m, hs, sampling.weights = "w", meanstructure = TRUE, control = ctl))
hs$cl <- (hs$id * 7) %% 25
res$cluster <- OUT(cfa(m, hs, cluster = "cl", control = ctl)); res$cluster_mlr <- OUT(cfa(m, hs, cluster = "cl", estimator = "MLR", control = ctl))
hm$cl <- hs$cl; res$cluster_fiml <- OUT(cfa(m, hm, cluster = "cl", estimator = "MLR", missing = "fiml", control = ctl))
hm$school <- hs$school; res$fiml_groups <- OUT(cfa(m, hm, group = "school", missing = "fiml", control = ctl)); res$fiml_groups_mlr <- OUT(cfa(m, hm, group = "school", missing = "fiml", estimator = "MLR", group.equal = c("loadings", "intercepts"), control = ctl))
for (e in c("GLS", "WLS")) res[[paste0("groups_", e)]] <- OUT(cfa(m, hs, group = "school", estimator = e, control = ctl))
for (e in c("GLS", "WLS")) res[[paste0("means_", e)]] <- OUT(cfa(m, hs, meanstructure = TRUE, estimator = e, control = ctl))
for (e in c("MLM", "MLR")) res[[paste0("groups_", e)]] <- OUT(cfa(m, hs, group = "school", estimator = e, control = ctl))
res$groups_wishart <- OUT(cfa(m, hs, group = "school", likelihood = "wishart", control = ctl))
for (k in c("loadings", "intercepts", "residuals", "means")) { eq <- c("loadings", "intercepts", "residuals", "means")[seq_len(match(k, c("loadings", "intercepts", "residuals", "means")))]; res[[paste0("equal_", k)]] <- OUT(cfa(m, hs, group = "school", group.equal = eq, control = ctl), std = FALSE); res[[paste0("equal_", k, "_stdlv")]] <- OUT(cfa(m, hs, group = "school", group.equal = eq, std.lv = TRUE, control = ctl), std = FALSE) }
res$linear <- OUT(cfa(paste0("visual =~ x1+a*x2+b*x3\ntextual =~ x4+c*x5+d*x6\nspeed =~ x7+x8+x9\na + b == 1.2\nc == 2*d - 0.7"), hs, control = ctl), std = FALSE)
res$nonlinear <- OUT(cfa(paste0("visual =~ x1+a*x2+b*x3\ntextual =~ x4+c*x5+d*x6\nspeed =~ x7+x8+x9\na == b^2"), hs, control = ctl), std = FALSE)
res$bounded <- OUT(cfa(paste0("visual =~ x1+a*x2+b*x3\ntextual =~ x4+c*x5+d*x6\nspeed =~ x7+x8+x9\na > 0.6\nb < 2"), hs, control = ctl), std = FALSE)
res$path <- OUT(sem("x9 ~ x1 + x4\nx8 ~ x9 + x1\nx7 ~ x4 + x9", hs, control = ctl)); res$growth <- OUT(growth("i =~ 1*y1+1*y2+1*y3+1*y4\ns =~ 0*y1+1*y2+2*y3+3*y4", pd, control = ctl))
f1 <- cfa(m, hs, estimator = "MLR"); f0 <- cfa(m, hs, estimator = "MLR", orthogonal = TRUE)
res$lrt <- list(mlr_2000 = as.list(as.data.frame(unclass(lavTestLRT(f1, f0, method = "satorra.2000"))))); f1 <- cfa(m, hs, estimator = "MLM"); f0 <- cfa(m, hs, estimator = "MLM", orthogonal = TRUE); res$lrt$mlm_2001 <- as.list(as.data.frame(unclass(lavTestLRT(f1, f0)))); res$lrt$mlm_2000 <- as.list(as.data.frame(unclass(lavTestLRT(f1, f0, method = "satorra.2000"))))
f <- cfa(m, hs, control = ctl); r <- function(t) { x <- resid(f, type = t)$cov; list(rows = rownames(x), values = unname(unclass(x))) }; res$residuals <- list(standardized = r("standardized"), bollen = r("cor.bollen"), raw = r("raw"))
sc <- function(f, ...) { x <- lavPredict(f, ...); list(cols = colnames(x), values = unname(unclass(x))[1:20, ]) }
res$scores_se <- local({ x <- lavPredict(f, se = "standard"); attr(x, "se")[[1]][1, ] }); res$scores_bartlett_se <- local({ x <- lavPredict(f, se = "standard", method = "Bartlett"); attr(x, "se")[[1]][1, ] })
ff <- cfa(m, hm, missing = "fiml", control = ctl); res$scores_fiml <- sc(ff); res$scores_fiml_bartlett <- sc(ff, method = "Bartlett"); res$mi_fiml <- as.list(as.data.frame(unclass(modindices(ff, sort. = TRUE)))[1:15, ])
res$mi_mlr <- as.list(as.data.frame(unclass(modindices(cfa(m, hs, estimator = "MLR", control = ctl), sort. = TRUE)))[1:15, ])
res$mi_metric <- as.list(as.data.frame(unclass(modindices(cfa(m, hs, group = "school", group.equal = "loadings", control = ctl), sort. = TRUE)))[1:15, ])
# ordered items: the same rows, cut at fixed points
cuts <- list(x1 = c(4, 5, 6), x2 = c(5, 6, 7), x3 = c(1.25, 2.25, 3.25), x4 = c(2, 3, 4), x5 = c(3, 4.5, 5.5), x6 = c(1.2, 2.2, 3.2), x7 = c(3.2, 4.2, 5.2), x8 = c(4.6, 5.5), x9 = 5.4)
ho <- hs; for (j in names(cuts)) ho[[j]] <- findInterval(hs[[j]], cuts[[j]])
it <- names(cuts); res$ordered <- OUT(cfa(m, ho, ordered = it)); res$ordered_theta <- OUT(cfa(m, ho, ordered = it, parameterization = "theta")); res$ordered_wlsm <- OUT(cfa(m, ho, ordered = it, estimator = "WLSM")); res$ordered_uls <- OUT(cfa(m, ho, ordered = it, estimator = "ULS")); res$ordered_resid <- OUT(cfa(paste0(m, "\nx1 ~~ x4"), ho, ordered = it))
res$ordered_regression <- OUT(sem(paste0(m, "\nspeed ~ visual + textual"), ho, ordered = it)); res$ordered_regression_theta <- OUT(sem(paste0(m, "\nspeed ~ visual + textual"), ho, ordered = it, parameterization = "theta"))
res$ordered_groups <- OUT(cfa(m, ho, ordered = it, group = "school")); res$ordered_groups_thresholds <- OUT(cfa(m, ho, ordered = it, group = "school", group.equal = c("loadings", "thresholds"))); res$ordered_groups_theta <- OUT(cfa(m, ho, ordered = it, group = "school", group.equal = c("loadings", "thresholds"), parameterization = "theta"))
hx <- ho; hx[, it[6:9]] <- hs[, it[6:9]]
res$mixed <- OUT(cfa(m, hx, ordered = it[1:5])); res$mixed_theta <- OUT(cfa(m, hx, ordered = it[1:5], parameterization = "theta"))
fm <- cfa(m, hx, ordered = it[1:5]); G <- lavInspect(fm, "gamma"); res$mixed_sample <- list(names = rownames(G), gamma = unname(unclass(G)), obs = as.numeric(lavInspect(fm, "wls.obs")))
hp <- ho; for (j in it) hp[is.na(hm[[j]]), j] <- NA
res$ordered_pairwise <- OUT(cfa(m, hp, ordered = it, missing = "pairwise"))
o1 <- cfa(m, ho, ordered = it); o0 <- cfa(m, ho, ordered = it, orthogonal = TRUE); res$lrt$wlsmv <- as.list(as.data.frame(unclass(lavTestLRT(o1, o0)))); x <- as.list(as.data.frame(unclass(modindices(o1, sort. = TRUE)))[1:15, ]); res$mi_ordered <- x
g1 <- cfa(m, ho, ordered = it, group = "school", group.equal = "loadings"); g0 <- cfa(m, ho, ordered = it, group = "school", group.equal = c("loadings", "thresholds")); res$lrt$wlsmv_groups <- as.list(as.data.frame(unclass(lavTestLRT(g1, g0))))
for (e in c("GLS", "ULS")) res[[paste0("mi_", e)]] <- as.list(as.data.frame(unclass(modindices(cfa(m, hs, estimator = e), sort. = TRUE)))[1:8, ])
res$ids <- hs$id
cat(toJSON(res, digits = NA, auto_unbox = TRUE, na = "null", null = "null", force = TRUE), "\n")
