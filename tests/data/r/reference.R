# Known answers for analysis/statistics.py, association.py, agreement.py, outcomes.py.
# Run from this folder: Rscript reference.R
# Writes reference.csv (name,index,value; 17 significant digits) and pbc.csv. See SOURCES.md.
suppressMessages({
  library(survival)
  library(coin)
})

out <- data.frame(name = character(), index = integer(), value = numeric())
put <- function(name, values) {
  values <- as.numeric(values)
  out <<- rbind(out, data.frame(name = name, index = seq_along(values) - 1L, value = values))
}

dz_interval <- function(t, n) {
  ncp <- function(p) uniroot(function(d) suppressWarnings(pt(t, n - 1, d)) - p,
                             c(t - 30, t + 30), tol = 1e-13)$root
  c(ncp(0.975), ncp(0.025)) / sqrt(n)
}

paired <- function(label, x, y, ties) {
  d <- round(y - x, 9)
  n <- length(d)
  tt <- t.test(y, x, paired = TRUE)
  put(paste0(label, ".t"), tt$statistic)
  put(paste0(label, ".t_p"), tt$p.value)
  put(paste0(label, ".t_interval"), tt$conf.int)
  put(paste0(label, ".dz"), tt$statistic / sqrt(n))
  put(paste0(label, ".dz_interval"), dz_interval(unname(tt$statistic), n))
  put(paste0(label, ".shapiro"), c(shapiro.test(d)$statistic, shapiro.test(d)$p.value))
  # exact signed-rank test on midranks, zeros out (coin: conditional distribution, ties right)
  w <- wilcoxsign_test(y ~ x, data = data.frame(x = 0, y = d), distribution = "exact",
                       zero.method = "Wilcoxon")
  put(paste0(label, ".wilcoxon_p"), pvalue(w))
  # exact sign-flip test of the mean: the same machinery on the changes themselves
  flips <- as.matrix(expand.grid(rep(list(c(-1, 1)), sum(d != 0))))
  sums <- abs(as.vector(flips %*% abs(d[d != 0])))
  put(paste0(label, ".sign_flip_p"), mean(sums >= abs(sum(d)) - 1e-9))
  if (!ties) {
    hl <- wilcox.test(y, x, paired = TRUE, exact = TRUE, conf.int = TRUE, digits.rank = 9)
    put(paste0(label, ".hodges_lehmann_interval"), hl$conf.int)
    put(paste0(label, ".wilcoxon_statistic"), hl$statistic)
  }
  walsh <- outer(d, d, "+") / 2
  put(paste0(label, ".hodges_lehmann"), median(walsh[upper.tri(walsh, diag = TRUE)]))
  pw <- power.t.test(n = n, sd = sd(d), power = 0.8, type = "paired", strict = TRUE,
                     tol = 1e-13)
  put(paste0(label, ".detectable"), pw$delta)
}

# Student 1908 (Cushny & Peebles), R's data set `sleep`: ties and a zero
sleep_x <- sleep$extra[sleep$group == 1]
sleep_y <- sleep$extra[sleep$group == 2]
put("sleep.x", sleep_x)
put("sleep.y", sleep_y)
paired("sleep", sleep_x, sleep_y, ties = TRUE)
# Hollander & Wolfe 1973, p. 29, from R's help page of wilcox.test: no ties
depression_x <- c(1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30)
depression_y <- c(0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29)
put("depression.x", depression_x)
put("depression.y", depression_y)
paired("depression", depression_x, depression_y, ties = FALSE)
# Darwin's Zea mays in eighths of an inch (Fisher, The Design of Experiments, 1935, section 21)
darwin <- c(49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48)
put("darwin.x", rep(0, 15))
put("darwin.y", darwin)
paired("darwin", rep(0, 15), darwin, ties = FALSE)

put("holm.p", c(0.01, 0.04, 0.03, 0.005, 0.5))
put("holm.adjusted", p.adjust(c(0.01, 0.04, 0.03, 0.005, 0.5), "holm"))

# Spearman: R's data set `cars`, with ties; and the example of R's help page of cor.test
put("spearman.x", cars$speed[1:20])
put("spearman.y", cars$dist[1:20])
put("spearman.rho", cor(cars$speed[1:20], cars$dist[1:20], method = "spearman"))
small_x <- c(44.4, 45.9, 41.9, 53.3, 44.7, 44.1, 50.7, 45.2)
small_y <- c(2.6, 3.1, 2.5, 5.0, 3.6, 4.0, 5.2, 2.8)
small <- cor.test(small_x, small_y, method = "spearman", exact = TRUE)
put("spearman_exact.x", small_x)
put("spearman_exact.y", small_y)
put("spearman_exact.rho", small$estimate)
put("spearman_exact.p", small$p.value)

# Shrout & Fleiss 1979, table 2: six targets, four judges
ratings <- matrix(c(9, 2, 5, 8, 6, 1, 3, 2, 8, 4, 6, 8, 7, 1, 2, 6, 10, 5, 6, 9, 6, 2, 4, 7),
                  nrow = 6, byrow = TRUE)
put("icc.ratings", as.vector(t(ratings)))
long <- data.frame(value = as.vector(ratings), target = factor(row(ratings)),
                   judge = factor(col(ratings)))
ms <- summary(aov(value ~ target + judge, long))[[1]][["Mean Sq"]]
n <- 6; k <- 4
icc <- (ms[1] - ms[3]) / (ms[1] + (k - 1) * ms[3] + k * (ms[2] - ms[3]) / n)
fj <- ms[2] / ms[3]
v <- (k - 1) * (n - 1) * (k * icc * fj + n * (1 + (k - 1) * icc) - k * icc)^2 /
  ((n - 1) * k^2 * icc^2 * fj^2 + (n * (1 + (k - 1) * icc) - k * icc)^2)
fu <- qf(0.975, n - 1, v)
fl <- qf(0.975, v, n - 1)
put("icc.value", icc)
put("icc.interval", c(
  n * (ms[1] - fu * ms[3]) / (fu * (k * ms[2] + (k * n - k - n) * ms[3]) + n * ms[1]),
  n * (fl * ms[1] - ms[3]) / (k * ms[2] + (k * n - k - n) * ms[3] + n * fl * ms[1])
))

# Bland & Altman 1986, table 1: peak flow, first large and first mini meter, L/min
large <- c(494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427)
mini <- c(512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451)
put("bland.first", mini)
put("bland.second", large)
d <- large - mini
put("bland.bias", mean(d))
put("bland.bias_interval", t.test(d)$conf.int)
put("bland.limits", mean(d) + c(-1, 1) * qnorm(0.975) * sd(d))
line <- summary(lm(d ~ I((large + mini) / 2)))$coefficients
put("bland.slope", line[2, c(1, 4)])
put("bland.within_sd", sqrt(mean(d^2) / 2))

# Survival: Miller 1997, acute myelogenous leukaemia, maintained arm; and both arms together
curve <- function(label, time, status) {
  fit <- survfit(Surv(time, status) ~ 1, conf.type = "log-log")
  put(paste0(label, ".time"), fit$time)
  put(paste0(label, ".n_risk"), fit$n.risk)
  put(paste0(label, ".survival"), fit$surv)
  put(paste0(label, ".se"), fit$surv * fit$std.err)
  put(paste0(label, ".low"), fit$lower)
  put(paste0(label, ".high"), fit$upper)
  put(paste0(label, ".median"), unlist(quantile(fit, 0.5)))
}
put("aml.input_time", aml$time)
put("aml.input_status", aml$status)
curve("aml", aml$time, aml$status)
curve("aml_reverse", aml$time, 1 - aml$status)
level <- data.frame(time = c(1, 2, 3, 4, 5, 6, 7, 8), status = c(1, 1, 1, 1, 0, 1, 1, 0))
put("level.input_time", level$time)
put("level.input_status", level$status)
curve("level", level$time, level$status)

# Competing events: Mayo Clinic primary biliary cirrhosis, transplantation (1) and death (2);
# the first 100 patients, of whom time and status only
pbc <- pbc[1:100, ]
write.csv(data.frame(time = pbc$time, status = pbc$status), "pbc.csv", row.names = FALSE)
event <- factor(pbc$status, 0:2, c("censored", "transplant", "death"))
fit <- survfit(Surv(pbc$time, event) ~ 1, conf.type = "log-log", id = seq_along(event))
state <- match(c("transplant", "death"), fit$states)
put("pbc.time", fit$time)
put("pbc.n_risk", fit$n.risk[, 1])
for (k in 1:2) {
  name <- c("transplant", "death")[k]
  put(paste0("pbc.", name), fit$pstate[, state[k]])
  put(paste0("pbc.", name, "_se"), fit$std.err[, state[k]])
  put(paste0("pbc.", name, "_low"), fit$lower[, state[k]])
  put(paste0("pbc.", name, "_high"), fit$upper[, state[k]])
}

# Scores, from the published formulas typed here a second time
meld3 <- function(female, bili, cr, inr, na, alb) {
  1.33 * female + 4.56 * log(bili) + 0.82 * (137 - na) - 0.24 * (137 - na) * log(bili) +
    9.09 * log(inr) + 11.14 * log(cr) + 1.85 * (3.5 - alb) - 1.83 * (3.5 - alb) * log(cr) + 6
}
put("meld3.female", meld3(1, 3.2, 1.4, 1.8, 130, 2.6))
put("meld3.male", meld3(0, 2.5, 1.2, 1.5, 135, 3.0))
put("albi", 0.66 * log10(c(17.1, 34.2, 85.5)) - 0.085 * c(40, 32, 24))

out$value <- format(out$value, digits = 17, trim = TRUE, scientific = TRUE)
write.csv(out, "reference.csv", row.names = FALSE, quote = FALSE)
cat(R.version.string, "survival", as.character(packageVersion("survival")),
    "coin", as.character(packageVersion("coin")), "\n")
