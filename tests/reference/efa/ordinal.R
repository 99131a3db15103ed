# EFA of ordered items: HolzingerSwineford1939 (lavaan), each test cut at its mean and 0.8 standard deviations beside it.
suppressPackageStartupMessages({ library(lavaan); library(jsonlite) })
x <- HolzingerSwineford1939[, paste0("x", 1:9)]
codes <- as.data.frame(lapply(x, function(v) as.integer(cut(v, c(-Inf, mean(v) + c(-.8, 0, .8) * sd(v), Inf)))))
one <- function(f) { if (is.list(f)) f <- f[[1]]
  s <- standardizedSolution(f); L <- s[s$op == "=~", ]; P <- s[s$op == "~~" & s$lhs != s$rhs & grepl("^f", s$lhs), ]
  m <- max(as.integer(sub("f", "", L$lhs)))
  list(loadings = matrix(L$est.std, ncol = m), loadings_se = matrix(L$se, ncol = m), phi_pairs = paste(P$lhs, P$rhs), phi = P$est.std, phi_se = P$se,
       fit = as.list(fitMeasures(f)[intersect(c("chisq", "df", "chisq.scaled", "pvalue.scaled", "baseline.chisq.scaled", "rmsea.scaled", "rmsea.ci.lower.scaled", "rmsea.ci.upper.scaled", "cfi.scaled", "tli.scaled", "srmr", "baseline.chisq", "rmsea", "rmsea.ci.lower", "rmsea.ci.upper", "cfi", "tli"), names(fitMeasures(f)))])) }
out <- list(meta = list(R = R.version.string, lavaan = as.character(packageVersion("lavaan")), made_by = "ordinal.R"),
  codes = as.matrix(codes),
  ulsmv = one(efa(codes, nfactors = 3, ordered = TRUE, rotation = "oblimin", estimator = "ULSMV", output = "lavaan")),
  ml = one(efa(x, nfactors = 3, rotation = "oblimin", output = "lavaan")),
  ml_geomin = one(efa(x, nfactors = 3, rotation = "geomin", rotation.args = list(geomin.epsilon = 0.01), output = "lavaan")))
writeLines(toJSON(out, digits = NA, auto_unbox = TRUE), commandArgs(TRUE)[1])
