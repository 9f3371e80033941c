# Reference numbers of tests/report/test_trial_shape.py: the course of 19 patients. R 4.2.2, survival.
library(survival); options(digits = 15)
rows <- read.csv(text = "s,m,e
T01,72,none
T02,75,none
T03,70,none
T04,81,none
T05,68,none
T01,50,other_cancer
T06,14,transplant
T06,66,none
T07,27,transplant
T07,66,none
T08,40,transplant
T08,74,none
T09,52,transplant
T09,69,none
T10,58,transplant
T10,90,none
T06,9,hcc
T07,20,hcc
T11,22,lost
T12,31,lost
T13,33,lost
T14,13,death
T15,29,death
T16,35,death
T17,47,death
T18,4,death
T14,8,hcc
T15,29,hcc
T17,18,other_cancer
T19,44,hcc
T19,67,none")
first <- function(s, e) { m <- rows$m[rows$s == s & rows$e %in% e]; if (length(m)) min(m) else Inf }
ids <- sort(unique(rows$s)); last <- sapply(ids, function(s) max(rows$m[rows$s == s]))
dead <- sapply(ids, first, "death"); lt <- sapply(ids, first, "transplant"); hcc <- sapply(ids, first, "hcc")
show <- function(fit, t) print(summary(fit, times = t, extend = TRUE)[c("surv", "lower", "upper", "n.risk")])
show(survfit(Surv(last, is.finite(dead)) ~ 1, conf.type = "log-log"), 60)
free <- pmin(last, dead, lt); event <- is.finite(pmin(dead, lt))
fit <- survfit(Surv(free, event) ~ 1, conf.type = "log-log"); show(fit, 60); print(quantile(fit, 0.5))
print(quantile(survfit(Surv(last, !is.finite(dead)) ~ 1, conf.type = "log-log"), 0.5))
ci <- function(target, other) {
  t <- pmin(last, target, other)
  # in one month what can only come before death comes first
  code <- ifelse(is.finite(target) & target <= other & target == t, 1, ifelse(other == t & is.finite(other), 2, 0))
  f <- survfit(Surv(t, factor(code, 0:2)) ~ 1, conf.type = "log-log")
  s <- summary(f, times = 60, extend = TRUE); print(c(s$pstate[2], s$lower[2], s$upper[2], s$n.risk[1]))
}
ci(lt, dead); ci(dead, lt); ci(hcc, pmin(dead, lt)); print(median(last)); print(range(last))
print(100 * binom.test(5, 19)$conf.int)
