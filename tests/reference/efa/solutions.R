# EFA solutions. hs: 9 tests of HolzingerSwineford1939; bc: 25 items of psych::bfi, complete rows; gt: 16 items (SQB12, SQB13) of
# the OECD Global Teaching InSights student questionnaire. psych 2.5.3, lavaan 0.6-21, R 4.2.2 (the meta block has all versions).
library(psych); library(GPArotation); library(lavaan)
FA <- function(x, nf, fm, rot, n = NULL) { a <- list(r = x, nfactors = nf, fm = fm, rotate = rot, scores = "none"); if (!is.null(n)) a$n.obs <- n; do.call(psych::fa, a) }
rots <- c("none", "varimax", "quartimax", "promax", "Promax", "oblimin", "quartimin", "geominT", "geominQ", "bifactor", "biquartimin")
for (fm in c("minres", "ml", "pa")) for (r in rots) FA(hs, 3, fm, r)                       # hs3
for (fm in c("minres", "ml", "pa")) for (r in rots) FA(bc, 5, fm, r)                       # bfi5 (fewer rotations)
R <- polychoric(bc, correct = 0)$rho; for (fm in c("minres", "ml")) FA(R, 5, fm, "oblimin", nrow(bc))      # bfi5_poly
for (fm in c("minres", "ml", "pa")) FA(Thurstone, 3, fm, "oblimin", 213)                   # thurstone3
for (fm in c("minres", "ml")) FA(gt, 3, fm, "oblimin")                                     # gti_rel3
factanal(hs, 3, rotation = "none"); factanal(hs, 3, rotation = "promax")                   # factanal
factanal(covmat = Thurstone, factors = 3, n.obs = 213, rotation = "none", control = list(opt = list(factr = 1e2)))  # factanal_tight
lavaan::efa(hs, nfactors = 3, rotation = "geomin", output = "lavaan")                      # lavaan_efa (standardizedSolution, fitMeasures)
KMO(hs); cortest.bartlett(cor(hs), n = 301); VSS(hs, n = 6, fm = "minres", rotate = "varimax", plot = FALSE)$map    # adequacy
set.seed(1); fa.parallel(hs, n.iter = 100, fa = "both", plot = FALSE); set.seed(1); fa.parallel(bc, n.iter = 50, fa = "both", plot = FALSE)  # parallel
f <- fa(hs, 3, rotate = "oblimin", fm = "ml"); for (m in c("Thurstone", "Bartlett", "tenBerge")) factor.scores(hs, f, method = m)            # scores
schmid(Thurstone, 3, n.obs = 213, fm = "minres")                                           # schmid
factor.congruence(f, fa(hs, 3, rotate = "varimax", fm = "minres"))                         # fa_congruence
EFAtools::EKC(as.matrix(bc))                                                               # ekc_bfi (EFAtools 0.6.0)
