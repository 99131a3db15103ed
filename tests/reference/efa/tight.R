# Extraction with tight optimiser control, on the stored matrices (matrices.json). Arguments: matrices.json, output.
# ml: stats::factanal, L-BFGS-B at factr = 10. minres: lavaan::efa with ULS on the correlation matrix, nlminb at rel.tol 1e-15; as
# lavaan's unrotated loadings come in another basis, L is taken from the eigenvectors of L L' (rank m: the minres basis).
suppressPackageStartupMessages({ library(lavaan); library(jsonlite) })
a <- commandArgs(TRUE); M <- fromJSON(a[1])
sets <- list(hs3 = c("hs", 3), bfi5 = c("bfi", 5), bfi5_poly = c("bfi_poly", 5), thurstone3 = c("thurstone", 3), harman4 = c("harman", 4), gti_rel3 = c("gti_rel", 3))
basis <- function(L) { e <- eigen(L %*% t(L), symmetric = TRUE); m <- ncol(L); e$vectors[, 1:m] %*% diag(sqrt(e$values[1:m])) }
rows <- function(R, n) { set.seed(1); z <- scale(matrix(rnorm(n * nrow(R)), n), scale = FALSE); z <- z %*% solve(chol(cov(z))); x <- as.data.frame(z %*% chol(R)); names(x) <- rownames(R); x }   # rows whose covariances are exactly R
out <- list(meta = list(R = R.version.string, lavaan = as.character(packageVersion("lavaan")), made_by = "tight.R"))
for (name in names(sets)) {
  s <- M[[sets[[name]][1]]]; m <- as.integer(sets[[name]][2]); R <- as.matrix(s$cor); n <- s$n; p <- nrow(R)
  dimnames(R) <- list(paste0("v", 1:p), paste0("v", 1:p))
  f <- factanal(covmat = R, factors = m, n.obs = n, rotation = "none", control = list(lower = 0.005, opt = list(factr = 10, maxit = 5000)))
  ml <- list(loadings = unclass(f$loadings)[,], uniquenesses = as.numeric(f$uniquenesses), objective = as.numeric(f$criteria["objective"]))
  g <- lavaan::efa(data = rows(R, n), nfactors = m, rotation = "none", estimator = "ULS", output = "lavaan", se = "none", test = "none",
                   control = list(rel.tol = 1e-15, x.tol = 1e-14, iter.max = 20000, eval.max = 40000))
  if (!inherits(g, "lavaan")) g <- g[[1]]
  E <- lavInspect(g, "est"); minres <- list(loadings = basis(unclass(E$lambda)[,]), uniquenesses = as.numeric(diag(E$theta)), converged = lavInspect(g, "converged"))
  out[[name]] <- list(ml = ml, minres = minres); cat(name, "")
}
writeLines(toJSON(out, digits = NA, auto_unbox = TRUE), a[2])
