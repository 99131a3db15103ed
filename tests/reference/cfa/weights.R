# Sampling weights with missing answers, groups and clusters: lavaan 0.6-14. Rscript weights.R > weights.json
suppressPackageStartupMessages({ library(lavaan); library(jsonlite) })
hs <- HolzingerSwineford1939; hm <- read.csv("hs_missing.csv", na.strings = "NA")
hs$w <- hs$ageyr - 10; hs$cl <- (hs$id * 7) %% 25; hm$w <- hs$w; hm$cl <- hs$cl; hm$school <- hs$school
m <- "visual =~ x1+x2+x3\ntextual =~ x4+x5+x6\nspeed =~ x7+x8+x9"
keep <- function(x, names) as.list(as.data.frame(unclass(x))[intersect(names, colnames(as.data.frame(unclass(x))))])
OUT <- function(e) tryCatch(suppressWarnings({ f <- e; x <- unclass(fitMeasures(f)); list(fit = as.list(x[!is.na(x)]), estimates = keep(parameterEstimates(f), c("lhs", "op", "rhs", "group", "est", "se", "ci.lower", "ci.upper"))) }), error = function(c) list(ERROR = conditionMessage(c)))
res <- list(meta = list(R = R.version.string, lavaan = as.character(packageVersion("lavaan"))))
res$fiml <- OUT(cfa(m, hm, sampling.weights = "w", missing = "fiml"))
res$fiml_mlr <- OUT(cfa(m, hm, sampling.weights = "w", missing = "fiml", estimator = "MLR"))
res$groups <- OUT(cfa(m, hs, sampling.weights = "w", group = "school"))
res$groups_metric <- OUT(cfa(m, hs, sampling.weights = "w", group = "school", group.equal = "loadings", estimator = "MLR"))
res$cluster <- OUT(cfa(m, hs, sampling.weights = "w", cluster = "cl"))
res$cluster_groups <- OUT(cfa(m, hs, cluster = "cl", group = "school", estimator = "MLR"))
res$cluster_fiml_weights <- OUT(cfa(m, hm, sampling.weights = "w", cluster = "cl", missing = "fiml", estimator = "MLR"))
cat(toJSON(res, digits = NA, auto_unbox = TRUE, na = "null", null = "null", force = TRUE), "\n")
