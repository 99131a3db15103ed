# Ordered items in groups, standardised by factors only, comparisons, scores: lavaan 0.6-14. Rscript further.R > further.json
suppressPackageStartupMessages({ library(lavaan); library(jsonlite) })
TRY <- function(e) tryCatch(suppressWarnings(e), error = function(c) list(ERROR = conditionMessage(c)))
cols <- function(x) as.list(as.data.frame(unclass(x)))
keep <- function(x, names) cols(as.data.frame(unclass(x))[intersect(names, colnames(x))])
FIT <- function(f) { x <- unclass(fitMeasures(f)); as.list(x[!is.na(x)]) }
OUT <- function(f, mi = 12) TRY({ f <- f
  list(fit = FIT(f), estimates = keep(parameterEstimates(f), c("lhs", "op", "rhs", "group", "est", "se", "ci.lower", "ci.upper")),
       standardized = keep(standardizedSolution(f), c("est.std", "se")), std_lv = keep(standardizedSolution(f, type = "std.lv"), c("est.std", "se")), mi = TRY({ x <- modindices(f, sort. = TRUE); x <- x[x$op != "~*~", ]; cols(x[seq_len(min(mi, nrow(x))), ]) }),
       converged = lavInspect(f, "converged")) })
LRT <- function(...) TRY(cols(lavTestLRT(...)))
d3 <- read.csv("ordered_groups.csv"); d2 <- d3[d3$group != "three", ]
it <- c("a1", "a2", "a3", "a4", "b1", "b2", "b3"); m <- "A =~ a1+a2+a3+a4\nB =~ b1+b2+b3"; mx <- "A =~ a1+a2+a3+a4\nB =~ b1+b2+b3+c1+c2+c3"
res <- list(meta = list(R = R.version.string, lavaan = as.character(packageVersion("lavaan"))))
steps <- list(configural = "", loadings = "loadings", thresholds = c("loadings", "thresholds"))
for (n in c("two", "three")) for (par in c("delta", "theta")) for (w in c("ordered", "mixed")) {
  d <- if (n == "two") d2 else d3; mod <- if (w == "mixed") mx else m; f <- list()
  for (s in names(steps)) {
    eq <- steps[[s]]; if (w == "mixed" && s == "thresholds") eq <- c(eq, "intercepts")
    f[[s]] <- TRY(cfa(mod, d, ordered = it, group = "group", group.equal = eq, parameterization = par))
    res[[paste(w, n, par, s, sep = "_")]] <- OUT(f[[s]])
  }
  res$lrt[[paste(w, n, par, sep = "_")]] <- list(metric = LRT(f$configural, f$loadings), scalar = LRT(f$loadings, f$thresholds), both = LRT(f$configural, f$thresholds))
  if (w == "mixed" && par == "delta") { G <- lavInspect(f$configural, "gamma"); o <- lavInspect(f$configural, "wls.obs"); res$samples[[n]] <- lapply(setNames(nm = names(G)), function(k) list(names = rownames(G[[k]]), gamma = unname(unclass(G[[k]])), obs = as.numeric(o[[k]]))) }
}
one <- d3
for (par in c("delta", "theta")) {
  f <- cfa(m, one, ordered = it, parameterization = par); res[[paste0("single_", par)]] <- OUT(f)
  res[[paste0("single_", par, "_wlsm")]] <- OUT(cfa(m, one, ordered = it, parameterization = par, estimator = "WLSM"))
  for (k in c("EBM", "ML")) res$scores[[paste(par, k, sep = "_")]] <- TRY(unname(unclass(lavPredict(f, method = k)))[1:60, ])
  g <- cfa(m, one, ordered = it, parameterization = par, group = "group", group.equal = c("loadings", "thresholds"))
  res$scores[[paste0(par, "_groups_EBM")]] <- TRY(lapply(lavPredict(g, method = "EBM"), function(x) unname(unclass(x))[1:30, ]))
}
f1 <- cfa(m, one, ordered = it); f0 <- cfa(m, one, ordered = it, orthogonal = TRUE); res$lrt$single <- LRT(f1, f0)
f1 <- cfa(m, one, ordered = it, estimator = "WLSM"); f0 <- cfa(m, one, ordered = it, estimator = "WLSM", orthogonal = TRUE); res$lrt$single_wlsm <- LRT(f1, f0); res$lrt$single_wlsm_2000 <- LRT(f1, f0, method = "satorra.2000")
mixed <- cfa(mx, one, ordered = it); res$mixed_single <- OUT(mixed); res$mixed_single_theta <- OUT(cfa(mx, one, ordered = it, parameterization = "theta"))
G <- lavInspect(mixed, "gamma"); res$samples$single <- list(names = rownames(G), gamma = unname(unclass(G)), obs = as.numeric(lavInspect(mixed, "wls.obs")))
RES <- function(f) lapply(if (is.null(lavResiduals(f)$cov)) lavResiduals(f) else list(lavResiduals(f)), function(r) list(names = rownames(r$cov), cov = unname(unclass(r$cov)), cov.z = unname(unclass(r$cov.z)), th = as.list(unclass(r$th)), th.z = as.list(unclass(r$th.z))))
for (par in c("delta", "theta")) {
  res$residuals[[paste0("single_", par)]] <- TRY(RES(cfa(m, d3, ordered = it, parameterization = par)))
  res$residuals[[paste0("three_", par)]] <- TRY(RES(cfa(m, d3, ordered = it, parameterization = par, group = "group", group.equal = c("loadings", "thresholds"))))
}
cat(toJSON(res, digits = NA, auto_unbox = TRUE, na = "null", null = "null", force = TRUE), "\n")
