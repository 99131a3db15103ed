# Variance components by lme4 at tight tolerances: Rscript gtheory.R <folder of csv files>
suppressPackageStartupMessages({library(lme4); library(jsonlite)})
dir <- commandArgs(TRUE)[1]; ctl <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-10, maxfun = 1e5))
fit <- function(f, d, REML) { m <- suppressMessages(lmer(f, d, REML = REML, control = ctl)); v <- as.data.frame(VarCorr(m))
  list(effect = v$grp, variance = v$vcov, mu = as.numeric(fixef(m)), mu_se = sqrt(as.numeric(vcov(m))), deviance = as.numeric(if (REML) REMLcrit(m) else -2 * logLik(m))) }
both <- function(f, d) list(data = as.list(d), reml = fit(f, d, TRUE), ml = fit(f, d, FALSE))
rd <- function(n) read.csv(file.path(dir, paste0(n, ".csv")))
prof <- function(f, d) { m <- lmer(f, d, REML = FALSE, control = ctl); ci <- suppressMessages(confint(m, quiet = TRUE)); list(rows = rownames(ci), sd = unname(apply(ci, 1, as.list))) }
out <- list(meta = list(R = R.version.string, lme4 = as.character(packageVersion("lme4")), script = "gtheory.R"),
  crossed = both(y ~ 1 + (1 | teacher) + (1 | occasion) + (1 | student) + (1 | teacher:occasion), rd("sto")),
  nested = c(both(y ~ 1 + (1 | school) + (1 | class), rd("nest")), list(profile_ml = prof(y ~ 1 + (1 | school) + (1 | class), rd("nest")))),
  zero = both(y ~ 1 + (1 | lesson) + (1 | rater), rd("zero")))
writeLines(toJSON(out, digits = 15, auto_unbox = TRUE), "gtheory.json")
