# Rotations beside those of rotation.R, on its unrotated matrices (rotation.json): the best of 10 starts (the identity and
# random orthogonal ones), GPArotation at eps = 1e-7. Arguments: rotation.json, output.
suppressPackageStartupMessages({ library(GPArotation); library(jsonlite) })
a <- commandArgs(TRUE); stored <- fromJSON(a[1])
run <- function(A, which, oblique, args) { set.seed(1); best <- NULL; m <- ncol(A)
  for (i in 1:10) { T0 <- if (i == 1) diag(m) else qr.Q(qr(matrix(rnorm(m * m), m)))
    if (which == "simplimax" && m > 3) next; r <- tryCatch(suppressWarnings((if (oblique) GPFoblq else GPForth)(A, Tmat = T0, method = which, methodArgs = args, eps = 1e-7, maxit = 2000)), error = function(e) NULL)
    if (is.null(r)) next
    f <- unname(tail(r$Table[, 2], 1)); s <- unname(tail(r$Table[, 3], 1))
    if (is.null(best) || f < best$f - 1e-13) best <- Filter(Negate(is.null), list(loadings = r$loadings[,], phi = if (oblique) r$Phi, f = f, log10_gradient = s)) }
  best }  # simplimax of five factors: too many minima for ten starts to agree on, left out
out <- list(meta = list(R = R.version.string, GPArotation = as.character(packageVersion("GPArotation")), made_by = "rotation_more.R"))
for (name in c("thurstone3", "bfi5")) { A <- stored[[name]]$unrotated; p <- nrow(A); m <- ncol(A)
  out[[name]] <- list(bentlerT = run(A, "bentler", FALSE, list()), bentlerQ = run(A, "bentler", TRUE, list()), infomaxT = run(A, "infomax", FALSE, list()),
    infomaxQ = run(A, "infomax", TRUE, list()), simplimax = run(A, "simplimax", TRUE, list(k = p)), simplimax_most = run(A, "simplimax", TRUE, list(k = p * (m - 1)))) }
writeLines(toJSON(out, digits = NA, auto_unbox = TRUE), a[2])
