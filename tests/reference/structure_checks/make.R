# Competing structures of simulated answers to "relationship-student" in lavaan, from moments.json:
#   Rscript make.R
suppressPackageStartupMessages({ library(lavaan); library(jsonlite) })
d <- fromJSON("moments.json"); S <- d$cov; dimnames(S) <- list(d$names, d$names)
plus <- function(x) paste(x, collapse = " + ")
scales <- d$scales; items <- d$names
corr <- paste(sprintf("%s =~ %s", names(scales), sapply(scales, plus)), collapse = "\n")
zero <- function(f) paste(apply(combn(f, 2), 2, function(z) sprintf("%s ~~ 0*%s", z[1], z[2])), collapse = "\n")
models <- list(
  single = sprintf("general =~ %s", plus(items)),
  correlated = corr,
  `higher-order` = paste(corr, sprintf("general =~ %s", plus(names(scales))), sep = "\n"),
  bifactor = paste(sprintf("general =~ %s", plus(items)), corr, zero(c("general", names(scales))), sep = "\n"),
  `method factor` = paste(corr, sprintf("reversed_items =~ %s", plus(paste0(if (length(d$reversed) == 2) "m*", d$reversed))),
                          paste(sprintf("%s ~~ 0*reversed_items", names(scales)), collapse = "\n"), sep = "\n"))
names <- c("chisq", "df", "pvalue", "cfi", "rmsea", "srmr", "aic", "bic")
fits <- lapply(models, function(m) cfa(m, sample.cov = S, sample.nobs = d$n_obs, std.lv = TRUE, meanstructure = FALSE))
out <- lapply(fits, function(f) as.list(unclass(fitMeasures(f, names))))
f <- fits$bifactor; L <- lavInspect(f, "est")$lambda; V <- fitted(f)$cov[items, items]; L <- L[items, ]
Z <- lavInspect(f, "std")$lambda[items, ]
index <- list(ecv = sum(Z[, 1]^2) / sum(Z^2), omega_hierarchical = sum(L[, 1])^2 / sum(V),
              omega_total = sum(colSums(L)^2) / sum(V))
R <- parameterEstimates(fits$correlated); R <- R[R$op == "~~" & R$lhs != R$rhs, c("lhs", "rhs", "est", "se")]
meta <- list(R = R.version.string, lavaan = as.character(packageVersion("lavaan")), script = "make.R")
writeLines(toJSON(list(meta = meta, fits = out, indices = index, correlations = as.list(R)), digits = NA, auto_unbox = TRUE), "lavaan.json")
