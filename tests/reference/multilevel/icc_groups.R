# REML with a mean for each country, and each country by itself: Rscript icc_groups.R <data folder>
suppressPackageStartupMessages({library(lme4); library(jsonlite)})
g <- read.csv(file.path(commandArgs(TRUE)[1], "gti_students_complete", "data.csv"), stringsAsFactors = FALSE)
g$rel <- rowMeans(g[, paste0("SQB13", LETTERS[1:5])])
ctl <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-10, maxfun = 1e5))
vc <- function(m) { v <- as.data.frame(VarCorr(m))$vcov; list(tau2 = v[1], sigma2 = v[2]) }
m <- lmer(rel ~ factor(country) + (1 | class), g, control = ctl); mm <- lmer(rel ~ factor(country) + (1 | class), g, REML = FALSE, control = ctl)
own <- lapply(split(g, g$country), function(d) vc(lmer(rel ~ 1 + (1 | class), d, control = ctl)))
a <- anova(lm(rel ~ factor(country) + class, g))
s <- split(g$rel, g$class); k <- sapply(split(g$country, g$class), `[`, 1)
out <- list(meta = list(R = R.version.string, lme4 = as.character(packageVersion("lme4")), script = "icc_groups.R"),
  clusters = list(label = names(s), country = as.character(k), n = unname(sapply(s, length)), mean = unname(sapply(s, mean)), scatter = unname(sapply(s, function(x) sum((x - mean(x))^2)))),
  reml = c(vc(m), list(deviance = as.numeric(REMLcrit(m)), fixef = unname(fixef(m)))), ml = c(vc(mm), list(deviance = as.numeric(-2 * logLik(mm)))), own = own,
  anova = list(df = a$Df, ms = a$`Mean Sq`))
writeLines(toJSON(out, digits = 15, auto_unbox = TRUE), "icc_groups.json")
