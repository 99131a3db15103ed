# Item statistics of polychoric matrices: psych::alpha of the matrices stored in polychoric/polychoric.json (lavaan's, items keyed). Arguments: that file, output.
suppressPackageStartupMessages({ library(psych); library(jsonlite) })
a <- commandArgs(TRUE); S <- fromJSON(a[1])$scales
out <- list(meta = list(R = R.version.string, psych = as.character(packageVersion("psych")), made_by = "items.R"))
for (name in c("bfi_A", "bfi_C", "bfi_E", "bfi_N", "bfi_O")) { R <- as.matrix(S[[name]]$cor); n <- S[[name]]$n; dimnames(R) <- list(paste0("i", 1:5), paste0("i", 1:5))
  f <- suppressWarnings(alpha(R, n.obs = n, check.keys = FALSE, warnings = FALSE))
  out[[name]] <- list(alpha = f$total$raw_alpha, r_drop = f$item.stats$r.drop, r_cor = f$item.stats$r.cor, r = f$item.stats$r, alpha_drop = f$alpha.drop$raw_alpha, g6_drop = f$alpha.drop$`G6(smc)`) }
writeLines(toJSON(out, digits = NA, auto_unbox = TRUE), a[2])
