# Known answers from whole data sets that ship with R and its survival package (see SOURCES.md).
# Run from this folder: Rscript cohorts.R
# Writes cohorts.csv (inputs; time, status by set) and cohorts_reference.csv (name,index,value).
suppressMessages(library(survival))
inputs <- data.frame(set = character(), time = numeric(), status = integer())
out <- data.frame(name = character(), index = integer(), value = numeric())
put <- function(name, values) {
  values <- as.numeric(values)
  out <<- rbind(out, data.frame(name = name, index = seq_along(values) - 1L, value = values))
}
keep <- function(set, time, status) {
  inputs <<- rbind(inputs, data.frame(set = set, time = time, status = status))
}

# Kaplan-Meier with log-log limits, and the log-rank test of the sexes
lung <- lung[, c("time", "status", "sex")]
keep("lung", lung$time, (lung$status == 2) + 10 * (lung$sex == 2))
fit <- survfit(Surv(time, status == 2) ~ 1, lung, conf.type = "log-log")
at <- summary(fit, times = c(90, 180, 365, 500, 730, 1000))
put("lung.at", at$time); put("lung.n_risk", at$n.risk); put("lung.survival", at$surv)
put("lung.low", at$lower); put("lung.high", at$upper)
put("lung.median", unlist(quantile(fit, 0.5)))
put("lung.log_rank", survdiff(Surv(time, status == 2) ~ sex, lung)$chisq)

# competing events, whole cohorts: transplantation and death, progression and death
competing <- function(set, time, status, times) {
  keep(set, time, status)
  event <- factor(status, 0:2, c("censored", "first", "second"))
  fit <- survfit(Surv(time, event) ~ 1, conf.type = "log-log")
  at <- summary(fit, times = times)
  state <- match(c("first", "second"), fit$states)
  put(paste0(set, ".at"), at$time)
  for (k in 1:2) {
    name <- paste0(set, c(".first", ".second")[k])
    put(name, at$pstate[, state[k]]); put(paste0(name, "_se"), at$std.err[, state[k]])
    put(paste0(name, "_low"), at$lower[, state[k]]); put(paste0(name, "_high"), at$upper[, state[k]])
  }
}
competing("pbc", pbc$time, pbc$status, c(500, 1000, 2000, 3000, 4000))
# progression before death where both fall into one month, as R's vignette does
etime <- with(mgus2, ifelse(pstat == 0, futime, ptime))
event <- with(mgus2, ifelse(pstat == 0, 2 * death, 1))
competing("mgus2", etime, event, c(12, 60, 120, 240, 360))

# paired: Student's sleep, by all sign patterns and all ways to deal two arms
extra <- sleep$extra
put("sleep.first", extra[1:10]); put("sleep.later", extra[11:20])
d <- extra[11:20] - extra[1:10]
tt <- t.test(d); put("sleep.t", c(tt$statistic, tt$p.value, tt$conf.int))
sums <- as.matrix(expand.grid(rep(list(c(-1, 1)), 10))) %*% round(d, 9)
put("sleep.sign_flip", mean(abs(sums) >= abs(sum(d)) - 1e-9))
ranks <- rank(abs(round(d[round(d, 9) != 0], 9)))
signs <- as.matrix(expand.grid(rep(list(0:1), length(ranks))))
w <- sum(ranks[d[round(d, 9) != 0] > 0])
put("sleep.wilcoxon", c(w, mean(abs(signs %*% ranks - sum(ranks) / 2) >= abs(w - sum(ranks) / 2) - 1e-9)))
# the two drugs as two arms: all ways to deal the labels
ways <- combn(20, 10); mean_all <- mean(extra)
diffs <- colSums(matrix(extra[ways] - mean_all, nrow = 10))
put("sleep.permutation", mean(abs(diffs) >= abs(sum(extra[11:20] - mean_all)) - 1e-9))
# analysis of covariance: chicks on two diets, those alive at day 20
chick <- reshape(as.data.frame(ChickWeight[ChickWeight$Time %in% c(0, 20), ]), direction = "wide",
                 idvar = c("Chick", "Diet"), timevar = "Time")
two <- chick[chick$Diet %in% c(1, 3) & !is.na(chick$weight.20), ]
put("chick.first", two$weight.0); put("chick.later", two$weight.20)
put("chick.arm", as.numeric(two$Diet == 3))
fit <- lm(weight.20 ~ weight.0 + I(Diet == 3), two)
put("chick.ancova", c(coef(fit)[3], confint(fit)[3, ], coef(summary(fit))[3, 4]))

out$value <- format(out$value, digits = 15, trim = TRUE)
write.csv(out, "cohorts_reference.csv", row.names = FALSE, quote = FALSE)
write.csv(inputs, "cohorts.csv", row.names = FALSE, quote = FALSE)
cat(R.version.string, "survival", as.character(packageVersion("survival")), "\n")
