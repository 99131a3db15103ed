# What semTools says about power: RMSEA tests (MacCallum, Browne & Sugawara, 1996) and a test of invariance by
# noncentrality (Satorra & Saris, 1985). Output only; run with: Rscript planning.R
suppressPackageStartupMessages({ library(semTools); library(lavaan); library(jsonlite) })
cells <- expand.grid(test = c("close", "not_close", "exact"), df = c(5, 20, 100), n = c(100, 300, 1000), group = c(1, 2), stringsAsFactors = FALSE)
pair <- list(close = c(.05, .08), not_close = c(.05, .01), exact = c(0, .05))
power <- lapply(seq_len(nrow(cells)), function(i) { x <- cells[i, ]; e <- pair[[x$test]]
  c(as.list(x), rmsea0 = e[1], rmsea1 = e[2], power = findRMSEApower(e[1], e[2], x$df, x$n, group = x$group)) })
sizes <- expand.grid(test = c("close", "not_close", "exact"), df = c(2, 5, 20, 100), power = c(.8, .9), group = c(1, 2), stringsAsFactors = FALSE)
size <- lapply(seq_len(nrow(sizes)), function(i) { x <- sizes[i, ]; e <- pair[[x$test]]
  c(as.list(x), rmsea0 = e[1], rmsea1 = e[2], n = findRMSEAsamplesize(e[1], e[2], x$df, power = x$power, group = x$group)) })
# one standardised loading, one intercept of six that differ between two groups; items have unit variance in both
lambda <- rep(.7, 6); p <- 6
sigma <- function(l) { s <- tcrossprod(l); diag(s) <- 1; dimnames(s) <- list(paste0("x", 1:p), paste0("x", 1:p)); s }
l2 <- lambda; l2[1] <- .5; m2 <- c(x1 = 0, x2 = .3, x3 = 0, x4 = 0, x5 = 0, x6 = 0)
mu0 <- setNames(rep(0, p), paste0("x", 1:p))
f <- paste0("f =~ ", paste0("x", 1:p, collapse = " + "))
chi <- function(S, M, n, equal) as.numeric(fitMeasures(cfa(f, sample.cov = S, sample.mean = M, sample.nobs = n, group.equal = equal, sample.cov.rescale = FALSE, std.lv = TRUE), c("chisq", "df")))
one <- function(S2, M2, n, null, alt) { a <- chi(list(sigma(lambda), S2), list(mu0, M2), n, null); b <- chi(list(sigma(lambda), S2), list(mu0, M2), n, alt)
  ncp <- a[1] - b[1]; df <- a[2] - b[2]; list(n = n, ncp = ncp, df = df, power = pchisq(qchisq(.95, df), df, ncp, lower.tail = FALSE)) }
invariance <- list(
  loading = one(sigma(l2), mu0, c(300, 300), "loadings", ""),
  loading_uneven = one(sigma(l2), mu0, c(200, 600), "loadings", ""),
  intercept = one(sigma(lambda), m2, c(300, 300), c("loadings", "intercepts"), "loadings"))
write_json(list(meta = list(R = R.version.string, packages = list(semTools = as.character(packageVersion("semTools")), lavaan = as.character(packageVersion("lavaan"))), script = "planning.R"),
  power = power, size = size, invariance = invariance), "planning.json", auto_unbox = TRUE, digits = 15, pretty = TRUE)
