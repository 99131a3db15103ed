# Bifactor models that the larger reference folder names but does not hold: lavaan 0.6-14. Rscript bifactor.R BFI.csv > bifactor.json
suppressPackageStartupMessages({ library(lavaan); library(jsonlite) })
cols <- function(x, names) as.list(as.data.frame(unclass(x))[intersect(names, colnames(as.data.frame(unclass(x))))])
TRY <- function(e) tryCatch(suppressWarnings(e), error = function(c) list(ERROR = conditionMessage(c)))
OUT <- function(f) TRY({ f <- f; x <- unclass(fitMeasures(f)); list(converged = lavInspect(f, "converged"), fit = as.list(x[!is.na(x)]), estimates = cols(parameterEstimates(f), c("lhs", "op", "rhs", "est", "se", "ci.lower", "ci.upper")), standardized = cols(standardizedSolution(f), c("est.std", "se"))) })
b <- read.csv(commandArgs(TRUE)[1]); all <- unlist(lapply(c("A", "C", "E", "N", "O"), paste0, 1:5)); b <- b[complete.cases(b[, all]), ]
it <- c(paste0("A", 1:5), paste0("E", 1:5)); m <- paste0("g =~ ", paste(it, collapse = "+"), "\nA =~ A1+A2+A3+A4+A5\nE =~ E1+E2+E3+E4+E5")
hs <- HolzingerSwineford1939; mh <- paste0("g =~ ", paste0("x", 1:9, collapse = "+"), "\nvisual =~ x1+x2+x3\ntextual =~ x4+x5+x6\nspeed =~ x7+x8+x9")
res <- list(meta = list(R = R.version.string, lavaan = as.character(packageVersion("lavaan"))), models = list(bfi = m, hs = mh))
res$hs_bifactor <- OUT(cfa(mh, hs, orthogonal = TRUE, std.lv = TRUE))
res$bfi_bifactor_wlsmv <- OUT(cfa(m, b, ordered = it, orthogonal = TRUE, std.lv = TRUE))
res$bfi_bifactor_mlr <- OUT(cfa(m, b, estimator = "MLR", orthogonal = TRUE, std.lv = TRUE))
cat(toJSON(res, digits = NA, auto_unbox = TRUE, na = "null", null = "null", force = TRUE), "\n")
