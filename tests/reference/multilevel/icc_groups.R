# REML with a mean for each school, and each school by itself, of the simulated classes in gtheory.json; with the folder of
# larger data as an argument also the five countries of gti_students_complete, of which results only are kept.
suppressPackageStartupMessages({library(lme4); library(jsonlite)})
ctl <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-10, maxfun = 1e5))
vc <- function(m) { v <- as.data.frame(VarCorr(m))$vcov; list(tau2 = v[1], sigma2 = v[2]) }
fit <- function(d) { d$group <- factor(d$group); d$class <- factor(d$class)
  m <- lmer(y ~ group + (1 | class), d, control = ctl); mm <- lmer(y ~ group + (1 | class), d, REML = FALSE, control = ctl)
  own <- suppressMessages(lapply(split(d, d$group), function(x) vc(lmer(y ~ 1 + (1 | class), x, control = ctl))))
  a <- anova(lm(y ~ group + class, d))
  list(reml = c(vc(m), list(deviance = as.numeric(REMLcrit(m)), fixef = unname(fixef(m)))), ml = c(vc(mm), list(deviance = as.numeric(-2 * logLik(mm)))), own = own, anova = list(df = a$Df, ms = a$`Mean Sq`)) }
nest <- as.data.frame(fromJSON("gtheory.json")$nested$data)
out <- list(meta = list(R = R.version.string, lme4 = as.character(packageVersion("lme4")), script = "icc_groups.R"),
  simulated = fit(data.frame(y = nest$y, class = nest$class, group = nest$school)))
if (length(commandArgs(TRUE))) { g <- read.csv(file.path(commandArgs(TRUE)[1], "gti_students_complete", "data.csv"), stringsAsFactors = FALSE)
  out$gti <- fit(data.frame(y = rowMeans(g[, paste0("SQB13", LETTERS[1:5])]), class = g$class, group = g$country)) }
writeLines(toJSON(out, digits = 15, auto_unbox = TRUE), "icc_groups.json")
