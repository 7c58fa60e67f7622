# Reads a report's CSV without options.
for (folder in commandArgs(trailingOnly = TRUE)) {
  table <- read.csv(file.path(folder, "table.csv"))
  summary <- read.csv(file.path(folder, "summary.csv"))
  stopifnot(nrow(table) > 0, is.numeric(table$accuracy), is.numeric(table$wilson_low), is.numeric(table$seed))
  stopifnot(nrow(summary) > 0, is.numeric(summary$mean), is.numeric(summary$sd), is.character(summary$row))
  cat(basename(folder), ": R reads the CSV\n", sep = "")
}
