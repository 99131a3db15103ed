# Full-information mean and covariance. Rscript em.R <folder with the reference data>; writes em.json beside itself.
# HolzingerSwineford1939 (published): rows with gaps made by a stated seed, kept in the JSON.
suppressPackageStartupMessages({ library(lavaan); library(jsonlite) })
args <- commandArgs(TRUE); hs <- read.csv(file.path(args[1], "HolzingerSwineford1939", "data.csv"))[, paste0("x", 1:6)]
plain <- function(x) { x <- unclass(as.matrix(x)); dimnames(x) <- NULL; attributes(x) <- attributes(x)["dim"]; x }
num <- function(x) as.numeric(unlist(x))
set.seed(20); m <- hs; for (j in 1:6) m[sample(301, 25 + 12*j), j] <- NA; m$x6[hs$x1 > 6] <- NA; m[c(7, 70), ] <- NA
v <- names(m); pairs <- unlist(lapply(seq_along(v), function(i) paste(v[i], "~~", v[i:6])))
sat <- paste(c(pairs, paste(v, "~ 1")), collapse = "\n")
fit <- lavaan(sat, m, missing = "fiml", information = "observed", em.h1.tol = 1e-12, em.h1.iter.max = 20000, control = list(rel.tol = 1e-14, iter.max = 10000))
p <- parameterEstimates(fit); V <- vcov(fit)
s <- lavInspect(fit, "sampstat")
res <- list(meta = list(R = R.version.string, packages = list(lavaan = as.character(packageVersion("lavaan"))), script = "em.R"),
  rows = plain(m), n = lavInspect(fit, "nobs"), mean = num(s$mean), cov = plain(s$cov),
  fitted_mean = num(lavInspect(fit, "mean.ov")), fitted_cov = plain(lavInspect(fit, "cov.ov")), logl = as.numeric(fitMeasures(fit, "unrestricted.logl")),
  lhs = p$lhs, op = p$op, rhs = p$rhs, est = p$est, se = p$se, vcov = plain(V), vcov_names = colnames(V), coverage = plain(lavInspect(fit, "coverage")))
writeLines(toJSON(res, digits = NA, auto_unbox = TRUE, na = "null"), "em.json"); cat(file.size("em.json"), "bytes\n")
