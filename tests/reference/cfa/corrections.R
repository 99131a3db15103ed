# Weights and clusters in groups, fixed x under missing answers, wrmr, empty cells: run with lavaan 0.6-14 in this folder.
# Rscript corrections.R > corrections.json
suppressPackageStartupMessages({ library(lavaan); library(jsonlite) })
hs <- HolzingerSwineford1939; hm <- read.csv("hs_missing.csv", na.strings = "NA")
m <- "visual =~ x1+x2+x3\ntextual =~ x4+x5+x6\nspeed =~ x7+x8+x9"
mim <- paste0(m, "\nvisual + textual + speed ~ sex + ageyr")
TRY <- function(e) tryCatch(suppressWarnings(e), error = function(c) list(ERROR = conditionMessage(c)))
OUT <- function(f, more = NULL) TRY({ f <- f; x <- unclass(fitMeasures(f)); if (!is.null(more)) x <- c(x, unclass(fitMeasures(f, more))); list(fit = as.list(x[!is.na(x)]), estimates = as.list(as.data.frame(unclass(parameterEstimates(f))))) })
MI <- function(f, n = 12) as.list(as.data.frame(unclass(suppressWarnings(modindices(f, sort. = TRUE))))[seq_len(n), ])
res <- list(meta = list(R = R.version.string, lavaan = as.character(packageVersion("lavaan"))))
hs$w <- (hs$ageyr - 10) * ifelse(hs$school == "Pasteur", 1, 3); hm$w <- hs$w; hm$school <- hs$school; hm$sex <- hs$sex; hm$ageyr <- hs$ageyr
res$weights_groups <- OUT(cfa(m, hs, group = "school", sampling.weights = "w", estimator = "MLR"))
res$weights_groups_equal <- OUT(cfa(m, hs, group = "school", sampling.weights = "w", estimator = "MLR", group.equal = c("loadings", "intercepts")))
res$weights_groups_fiml <- OUT(cfa(m, hm, group = "school", sampling.weights = "w", estimator = "MLR", missing = "fiml", group.equal = "loadings"))
hs$nested <- paste(hs$school, hs$id %% 12); hm$nested <- hs$nested
res$cluster_groups <- OUT(cfa(m, hs, group = "school", cluster = "nested", estimator = "MLR"))
res$cluster_groups_equal <- OUT(cfa(m, hs, group = "school", cluster = "nested", estimator = "MLR", group.equal = c("loadings", "intercepts")))
res$cluster_groups_fiml <- OUT(cfa(m, hm, group = "school", cluster = "nested", estimator = "MLR", missing = "fiml"))
res$mi_wishart <- MI(cfa(m, hs, likelihood = "wishart")); res$mi_wishart_groups <- MI(cfa(m, hs, likelihood = "wishart", group = "school", group.equal = "loadings"))
res$mi_gls_groups <- MI(cfa(m, hs, estimator = "GLS", group = "school", group.equal = "loadings"))
res$fiml_fixed_x <- OUT(sem(mim, hs, missing = "fiml")); res$fiml_fixed_x_missing <- OUT(sem(mim, hm, missing = "fiml")); res$fiml_fixed_x_mlr <- OUT(sem(mim, hm, missing = "fiml", estimator = "MLR"))
res$fiml_fixed_x_groups <- OUT(sem(paste0(m, "\nvisual + textual + speed ~ sex"), hm, missing = "fiml", group = "school", estimator = "MLR"))
cuts <- list(x1 = c(4, 5, 6), x2 = c(5, 6, 7), x3 = c(1.25, 2.25, 3.25), x4 = c(2, 3, 4), x5 = c(3, 4.5, 5.5), x6 = c(1.2, 2.2, 3.2), x7 = c(3.2, 4.2, 5.2), x8 = c(4.6, 5.5), x9 = 5.4)
ho <- hs; for (j in names(cuts)) ho[[j]] <- findInterval(hs[[j]], cuts[[j]])
it <- names(cuts)
res$wrmr <- OUT(cfa(m, ho, ordered = it), "wrmr"); res$wrmr_groups <- OUT(cfa(m, ho, ordered = it, group = "school", group.equal = c("loadings", "thresholds")), "wrmr"); res$wrmr_uls <- OUT(cfa(m, ho, ordered = it, estimator = "ULSMV"), "wrmr"); res$wrmr_wls <- OUT(cfa(m, ho, ordered = it, estimator = "WLS"), "wrmr")
hx <- ho; hx[, it[6:9]] <- hs[, it[6:9]]; res$wrmr_mixed <- OUT(cfa(m, hx, ordered = it[1:5]), "wrmr")
res$wrmr_continuous <- OUT(cfa(m, hs), "wrmr"); res$wrmr_continuous_means <- OUT(cfa(m, hs, meanstructure = TRUE), "wrmr")
# binary items, one of whose 2 x 2 tables has an empty cell
low <- c(x1 = 3.2, x2 = 4.7, x3 = 1, x4 = 1.4, x5 = 2.3, x6 = 1.1)
hb <- hs; for (j in names(low)) hb[[j]] <- as.integer(hs[[j]] > low[[j]])
bm <- "visual =~ x1+x2+x3\ntextual =~ x4+x5+x6"
res$empty_counts <- lapply(combn(names(low), 2, simplify = FALSE), function(p) list(pair = p, counts = as.vector(t(table(hb[[p[1]]], hb[[p[2]]])))))
res$empty <- OUT(cfa(bm, hb, ordered = names(low)))
for (j in names(cuts)) hb[[j]] <- as.integer(hs[[j]] > median(hs[[j]]))
res$binary_thresholds <- OUT(cfa(m, hb, ordered = it, group = "school", group.equal = "thresholds")); res$binary_both <- OUT(cfa(m, hb, ordered = it, group = "school", group.equal = c("thresholds", "loadings")))
cat(toJSON(res, digits = NA, auto_unbox = TRUE, na = "null", null = "null", force = TRUE), "\n")
