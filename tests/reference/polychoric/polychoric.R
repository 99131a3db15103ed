# Polychoric references. Rscript polychoric.R <folder with the reference data> ; writes polychoric.json beside itself.
# Contingency tables only of data from GPL packages (bfi, ability) and of OECD data; rows only of published sets.
suppressPackageStartupMessages({ library(lavaan); library(psych); library(polycor); library(jsonlite) })
args <- commandArgs(TRUE); DATA <- args[1]
rd <- function(set) read.csv(file.path(DATA, set, "data.csv"), na.strings = c("", "NA"), check.names = FALSE)
BFI <- c(outer(1:5, c("A","C","E","N","O"), function(i, s) paste0(s, i)))
plain <- function(x) { x <- unclass(as.matrix(x)); dimnames(x) <- NULL; attributes(x) <- attributes(x)["dim"]; x }
num <- function(x) as.numeric(unlist(x))
# every pair's table, categories k, own cases of each item in `marginal`
tabs <- function(x, k) { x <- lapply(x, factor, levels = k); p <- length(x); joint <- list()
  for (i in 1:(p-1)) for (j in (i+1):p) joint[[length(joint)+1]] <- plain(table(x[[i]], x[[j]]))
  list(names = names(x), categories = k, marginal = lapply(x, function(z) as.integer(table(z))), joint = joint) }
th <- function(fit) num(lavInspect(fit, "sampstat")$th)
res <- list()
b <- rd("bfi")[, BFI]; bc <- b[complete.cases(b), ]
L <- function(x, ...) { f <- lavCor(x, ordered = names(x), output = "fit", se = "robust", ...); p <- parameterEstimates(f)
  list(n = lavInspect(f, "nobs"), cor = plain(lavInspect(f, "cor.ov")), th = th(f), se = p$se[p$op == "~~" & p$lhs != p$rhs], th_se = p$se[p$op == "|"]) }
res$bfi_listwise <- c(list(tables = tabs(bc, 1:6), n_rows = nrow(b)), L(bc))
res$bfi_pairwise <- c(list(tables = tabs(b, 1:6), n_rows = nrow(b), counts = plain(crossprod(!is.na(b)))), L(b, missing = "pairwise"))
gamma <- function(x, ...) { m <- paste("f =~", paste(names(x), collapse = "+")); f <- suppressWarnings(cfa(m, x, ordered = names(x), std.lv = TRUE, ...)); g <- lavInspect(f, "gamma")
  list(n = lavInspect(f, "nobs"), parameters = colnames(g), gamma = plain(g)) }
res$bfiA_gamma_listwise <- gamma(bc[, 1:5]); res$bfiA_gamma_pairwise <- gamma(b[, 1:5], missing = "pairwise")
# HolzingerSwineford1939 (published), cut into 3 to 5 categories at fixed points: rows may be kept
hs <- rd("HolzingerSwineford1939")[, paste0("x", 1:6)]
cuts <- list(c(4, 5.5), c(5, 6, 7), c(1.5, 2.5, 3.5), c(2, 3, 4), c(3.5, 4.5, 5.5), c(1, 1.8, 2.6, 3.4))
ho <- as.data.frame(mapply(function(x, k) findInterval(x, k) + 1L, hs, cuts)); hm <- ho; set.seed(1); for (j in 1:6) hm[sample(301, 20 + 5*j), j] <- NA
res$hs_ordinal <- c(list(rows = plain(ho)), L(ho), gamma(ho)); res$hs_missing <- c(list(rows = plain(hm)), L(hm, missing = "pairwise"), gamma(hm, missing = "pairwise"))
mixed <- data.frame(ho[, 1:3], x5 = hs$x5, x6 = hs$x6); s <- lavInspect(lavCor(mixed, ordered = names(ho)[1:3], output = "fit", se = "none"), "sampstat")
res$hs_mixed <- list(continuous = plain(hs[, 5:6]), cor = plain(lavCor(mixed, ordered = names(ho)[1:3])), cov = plain(s$cov), mean = num(s$mean))
# LSAT7 (Bock & Lieberman, 1970): 32 patterns
l7 <- rd("mirt_LSAT7"); key <- do.call(paste0, l7); res$lsat7 <- c(list(patterns = as.list(table(key)), tables = tabs(l7, 0:1)), L(l7), gamma(l7))
ab <- rd("ability"); ab <- ab[complete.cases(ab), ]; res$ability <- c(list(tables = tabs(ab, 0:1)), L(ab))
# ordinal blocks of the reliability references: items reversed as there
for (j in c("A1","C4","C5","E1","E2","O2","O5")) b[[j]] <- 7 - b[[j]]
sets <- list(bfi_A = b[,1:5], bfi_C = b[,6:10], bfi_E = b[,11:15], bfi_N = b[,16:20], bfi_O = b[,21:25], gti_studrel = rd("gti_students")[, paste0("SQB13", LETTERS[1:5])],
  gti_tsup = rd("gti_students")[, paste0("SQB12", LETTERS[1:11])], pisa_studrel = rd("pisa2012_deu")[, paste0("STUDREL_", 1:5)], burnout_TE = rd("teachers_burnout")[, paste0("TE", 1:5)])
res$scales <- lapply(sets, function(x) { x <- x[complete.cases(x), ]; c(list(tables = tabs(x, sort(unique(unlist(x))))), L(x)) })
# empty cells: two by two, with and without lavaan's correction; three by three
t2 <- matrix(c(0, 12, 9, 60), 2); t3 <- matrix(c(20, 7, 0, 5, 30, 9, 0, 6, 25), 3)
rows <- function(t) { d <- as.data.frame(as.table(t)); d <- d[rep(seq_len(nrow(d)), d$Freq), 1:2]; names(d) <- c("a", "b"); data.frame(a = as.integer(d$a), b = as.integer(d$b)) }
Z <- function(t, ...) num(suppressWarnings(lavCor(rows(t), ordered = c("a", "b"), ...)))[2]
res$empty <- list(t2 = t2, t2_default = Z(t2), t2_half = Z(t2, zero.add = c(0.5, 0), zero.keep.margins = TRUE), t2_none = Z(t2, zero.add = c(0, 0)), t3 = t3, t3_none = Z(t3), t3_half = Z(t3, zero.add = c(0.5, 0.5), zero.keep.margins = FALSE))
# polyserial: age by item is enough
d <- rd("bfi"); d <- d[complete.cases(d[, c("age", "A1", "N1", "gender")]), ]
P <- function(y) { p <- polyserial(d$age, y, std.err = TRUE); lv <- lavCor(data.frame(age = d$age, y = y), ordered = "y"); t <- table(d$age, y)
  list(age = as.integer(rownames(t)), counts = plain(t), lavcor = num(lv)[2], polycor_2step = p$rho) }
res$polyserial <- list(age_A1 = P(d$A1), age_N1 = P(d$N1))
res <- c(list(meta = list(R = R.version.string, packages = lapply(c(lavaan = "lavaan", psych = "psych", polycor = "polycor"), function(p) as.character(packageVersion(p))), script = "polychoric.R")), res)
writeLines(toJSON(res, digits = NA, auto_unbox = TRUE, na = "null"), "polychoric.json"); cat(file.size("polychoric.json"), "bytes\n")
