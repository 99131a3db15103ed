# Rotations of a fixed unrotated matrix; best of several starts. Blocks marked "extra" come from the second half.
library(GPArotation); library(psych)
gp <- function(A, fun, ...) { set.seed(1); r <- fun(A, eps = 1e-7, maxit = 3000, randomStarts = 10, ...); list(loadings = r$loadings, Phi = r$Phi, f = tail(r$Table[, "f"], 1)) }
A <- unclass(factanal(covmat = Thurstone, factors = 3, n.obs = 213, rotation = "none", control = list(opt = list(factr = 1e2)))$loadings)[,]
# bfi5: A <- unclass(factanal(bfi_complete_rows, 5, rotation = "none")$loadings)[,]
run <- function(A) list(
  varimax_raw = gp(A, GPArotation::Varimax), varimax_kaiser = gp(A, GPArotation::Varimax, normalize = TRUE),
  stats_varimax_kaiser = stats::varimax(A, eps = 1e-12)$loadings, quartimax = gp(A, quartimax),
  oblimin0 = gp(A, oblimin), oblimin0_kaiser = gp(A, oblimin, normalize = TRUE), quartimin = gp(A, quartimin),
  oblimin_m.5 = gp(A, oblimin, gam = -.5), geominQ_.01 = gp(A, geominQ), geominT_.01 = gp(A, geominT),
  geominQ_.001 = gp(A, geominQ, delta = .001), bifactorT = gp(A, bifactorT), bifactorQ = gp(A, bifactorQ),
  cfQ_kappa0 = gp(A, cfQ), parsimax = gp(A, parsimax),
  promax4_stats = stats::promax(stats::varimax(A, eps = 1e-12)$loadings, m = 4),
  psych_promax = psych::kaiser(A, rotate = "Promax"))
T <- matrix(NA, 9, 3); T[1:3, 2:3] <- 0; T[4:6, c(1, 3)] <- 0; T[7:9, 1:2] <- 0; target <- gp(A, targetQ, Target = T)

# extra: GPArotation 2022.10-2 (its equamax has no argument randomStarts)
p <- nrow(A); m <- ncol(A); h <- sqrt(rowSums(A^2))
V <- unclass(stats::varimax(A / h, normalize = FALSE, eps = 1e-15)$loadings)[,]
promax_normalized <- unclass(stats::promax(V, m = 4)$loadings)[,] * h
equamax <- cfT(A, Tmat = T0, kappa = m / (2 * p), eps = 1e-9, maxit = 5000)   # T0: identity and 19 random orthogonal
cfQ_varimax <- cfQ(A, kappa = 1 / p, eps = 1e-9, maxit = 5000)
quartimax_kaiser <- quartimax(A, normalize = TRUE, eps = 1e-8, maxit = 5000)
W <- matrix(0, p, m); W[1:3, 2:m] <- 1; W[4:6, c(1, 3:m)] <- 1; W[7:9, 1:2] <- 1
targetT <- targetT(A, Target = ifelse(W == 1, 0, NA), eps = 1e-9, maxit = 5000)
