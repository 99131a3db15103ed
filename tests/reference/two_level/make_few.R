# The unrestricted model of few clusters by lavaan, which keeps it to covariances that can exist (rows of rows.csv).
# Usage, in this folder: Rscript make_few.R
suppressPackageStartupMessages({ library(lavaan); library(jsonlite) })
rows <- read.csv("rows.csv", na.strings = "")
model <- "level: 1\n fw =~ y1 + y2 + y3 + y4\nlevel: 2\n fb =~ y1 + y2 + y3 + y4"
few <- function(first, last, ...) {
  d <- rows[rows$cluster >= first & rows$cluster <= last, ]
  f <- suppressWarnings(cfa(model, d, cluster = "cluster", em.h1.iter.max = 200000L, em.h1.tol = 1e-13, ...))
  h1 <- lavInspect(f, "h1")
  list(first = first, last = last, converged = lavInspect(f, "converged"), fit = as.list(fitMeasures(f)),
       within = unclass(h1[[1]]$cov), between = unclass(h1[[2]]$cov))
}
out <- list(model = model, cases = list(few(41, 52), few(1, 15), few(41, 50)),
            meta = list(R = R.version.string, lavaan = as.character(packageVersion("lavaan")), date = "2026-11-29",
                        script = "make_few.R"))
write(toJSON(out, digits = 15, auto_unbox = TRUE, na = "null", pretty = TRUE), "few.json")
