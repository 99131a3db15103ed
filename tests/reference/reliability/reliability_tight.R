# Reference values that the stored R run lacks: two more scales, and one-factor models refitted five times from their own solution.
# Rscript reliability_tight.R <folder with data/> <out.json>
# Inputs: complete or incomplete rows as in reliability.R; reversed items as 7 - x before the call.
args <- commandArgs(TRUE); suppressPackageStartupMessages({ library(psych); library(lavaan); library(semTools); library(jsonlite) })
rd <- function(set) read.csv(file.path(args[1], "data", set, "data.csv"), na.strings = c("", "NA"), check.names = FALSE)
DF <- function(x) { x <- as.data.frame(x); x[] <- lapply(x, function(z) if (is.numeric(z)) as.vector(unclass(z)) else z); list(rows = rownames(x), columns = as.list(x)) }
ALPHA <- function(x, ...) { a <- suppressMessages(psych::alpha(x, check.keys = FALSE, warnings = FALSE, ...))
  list(total = as.list(a$total), item_stats = DF(a$item.stats), alpha_drop = DF(a$alpha.drop), feldt = lapply(unclass(a$feldt), as.numeric)) }
OMEGA <- function(x) { v <- names(x); l <- paste0("l", seq_along(v)); e <- paste0("e", seq_along(v))
  mod <- paste0("f =~ NA*", v[1], " + ", paste0(l, "*", v, collapse = " + "), "\nf ~~ 1*f\n", paste0(v, " ~~ ", e, "*", v, collapse = "\n"),
    "\nomega := (", paste(l, collapse = "+"), ")^2/((", paste(l, collapse = "+"), ")^2 + ", paste(e, collapse = "+"), ")")
  fit <- cfa(mod, data = x); for (i in 1:5) fit <- cfa(mod, data = x, start = fit); pe <- parameterEstimates(fit); p <- pe[pe$op == ":=", ]; k <- seq_along(v)
  fm <- fitMeasures(fit, c("chisq", "df", "pvalue"))
  list(omega = p$est, se_delta = p$se, ci_delta = c(p$ci.lower, p$ci.upper), loadings = pe$est[k], loadings_se = pe$se[k], uniquenesses = pe$est[pe$op == "~~" & pe$lhs != "f"], uniquenesses_se = pe$se[pe$op == "~~" & pe$lhs != "f"],
    chisq = fm[["chisq"]], df = fm[["df"]], pvalue = fm[["pvalue"]],
    compRelSEM = as.numeric(suppressMessages(compRelSEM(fit))), compRelSEM_obsvarF = as.numeric(suppressMessages(compRelSEM(fit, obs.var = FALSE))), AVE = as.numeric(suppressMessages(AVE(fit)))) }
bfi <- function(n, k) { x <- rd("bfi")[, n]; for (j in which(k < 0)) x[[j]] <- 7 - x[[j]]; x }
HS <- paste0("x", 1:9)
sets <- list(bfi_A = bfi(paste0("A", 1:5), c(-1,1,1,1,1)), bfi_C = bfi(paste0("C", 1:5), c(1,1,1,-1,-1)), bfi_E = bfi(paste0("E", 1:5), c(-1,-1,1,1,1)), bfi_N = bfi(paste0("N", 1:5), rep(1,5)), bfi_O = bfi(paste0("O", 1:5), c(1,-1,1,1,-1)),
  hs_visual = rd("HolzingerSwineford1939")[, HS[1:3]], hs_9 = rd("HolzingerSwineford1939")[, HS], gti_studrel = rd("gti_students")[, paste0("SQB13", LETTERS[1:5])], gti_tsup = rd("gti_students")[, paste0("SQB12", LETTERS[1:11])],
  pisa_studrel = rd("pisa2012_deu")[, paste0("STUDREL_", 1:5)], burnout_TE = rd("teachers_burnout")[, paste0("TE", 1:5)])
res <- lapply(names(sets), function(nm) { x <- sets[[nm]]; x <- x[rowSums(!is.na(x)) > 0, ]; xc <- x[complete.cases(x), ]
  out <- list(n = nrow(x), n_complete = nrow(xc), cfa_omega_tight = OMEGA(xc))
  if (nm %in% c("pisa_studrel", "burnout_TE")) { g <- suppressMessages(suppressWarnings(psych::guttman(xc)))
    # not taken from psych 2.2.9: split-halves and lambda.4 (5 of the 10 splits of 5 items), pairwise correlations (cov2cor of the covariances)
    out <- c(out, list(alpha_complete = ALPHA(xc), alpha_sum_scores = ALPHA(xc, cumulative = TRUE),
      guttman = lapply(g[c("lambda.1","lambda.2","lambda.3","lambda.5","lambda.6")], as.numeric))) }
  out })
names(res) <- names(sets)
res <- c(list(meta = list(R = R.version.string, packages = sapply(c("psych","lavaan","semTools"), function(p) as.character(packageVersion(p)), simplify = FALSE), script = "reliability_tight.R")), res)
writeLines(toJSON(res, digits = NA, auto_unbox = TRUE, na = "null", null = "null", force = TRUE), args[2])
