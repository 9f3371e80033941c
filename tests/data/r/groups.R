# Reference numbers of tests/analysis/test_groups.py. R 4.2.2, survival, nlme.
library(survival); library(nlme); options(digits = 15)
first <- c(1010,980,1205,890,1100,950,1320,1015,870,990,1150,1080)
later <- c(1100,1000,1260,1000,1150,1080,1335,1003,902,975,1190,1075)
arm <- rep(c(1, 0), each = 6)
fit <- lm(later ~ first + arm); print(coef(summary(fit))["arm", ]); print(confint(fit)["arm", ])
print(t.test((later - first)[arm == 1], (later - first)[arm == 0])$conf.int)
print(survdiff(Surv(c(6,6,6,7,10,13,16,22,23,6,9,10,11,17,19,20,25,32,32,34,35,
  1,1,2,2,3,4,4,5,5,8,8,8,8,11,11,12,12,15,17,22,23), c(rep(1,9), rep(0,12), rep(1,21))) ~
  rep(0:1, each = 21))$chisq)
y <- rbind(c(15.2,14.9,13.1), c(20.1,19.3,19.9), c(17.8,18.8,16.4), c(24.3,22.2,NA), c(21.0,18.9,17.2),
  c(16.4,17.5,16.9), c(22.7,NA,19.1), c(18.9,20.3,NA), c(19.4,17.1,15.8), c(23.5,24.0,21.7))
d <- data.frame(id = rep(1:10, 3), visit = rep(0:2, each = 10), y = as.vector(y)); d <- d[!is.na(d$y), ]
m <- gls(y ~ factor(visit), data = d, correlation = corSymm(form = ~ (visit + 1) | id),
  weights = varIdent(form = ~ 1 | visit), method = "REML",
  control = glsControl(opt = "optim", maxIter = 1000, msMaxIter = 1000, tolerance = 1e-12))
print(summary(m)$tTable); print(as.numeric(m$logLik))
