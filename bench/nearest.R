# The nearest brms model, timed: Rscript nearest.R table.csv draws.csv chains warmup draws seed family
# Families: normal, student_t, and bounded, whose scores at an end of the scale are censored but not rounded.
# Correlated level, slope and response; no cycle deviations; priors as in models/alsfrsr.py where brms has the same term.
given <- commandArgs(trailingOnly = TRUE)
suppressMessages(library(brms))
table <- read.csv(given[1])
hinges <- grep("^b[0-9]+$", names(table), value = TRUE)
fixed <- paste(c("0 + Intercept + month", hinges), collapse = " + ")
priors <- c(
  prior(normal(35, 4), class = b, coef = Intercept),
  prior(normal(-1, 0.4), class = b, coef = month),
  do.call(c, lapply(hinges, function(h) set_prior("normal(0, 0.335)", class = "b", coef = h))),
  prior(normal(0, 5), class = sd, coef = Intercept, group = patient),
  prior(gamma(9, 12), class = sd, coef = month, group = patient),
  prior(normal(0, 0.3), class = sd, coef = since, group = patient),
  prior(lkj(2), class = cor),
  prior(gamma(25, 12.5), class = sigma)
)
stated <- given[7]
if (stated == "student_t") priors <- c(priors, prior(gamma(2, 0.1), class = nu))
table$end <- ifelse(table$score <= 0, "left", ifelse(table$score >= 48, "right", "none"))
response <- if (stated == "bounded") "score | cens(end) ~" else "score ~"
family <- if (stated == "student_t") student() else gaussian()
formula <- as.formula(paste(response, fixed, "+ (1 + month + since | patient)"))
compiling <- system.time(
  empty <- brm(formula, table, family = family, prior = priors, chains = 0, silent = 2)
)["elapsed"]
number <- as.integer(given[3:6])
sampling <- system.time(fit <- update(
  empty, chains = number[1], warmup = number[2], iter = number[2] + number[3], seed = number[4],
  cores = 2, refresh = 0, silent = 2, recompile = FALSE, control = list(adapt_delta = 0.99)
))["elapsed"]
draws <- as.data.frame(as_draws_df(fit, variable = c("^b_", "^sd_", "sigma"), regex = TRUE))
write.csv(draws, given[2], row.names = FALSE)
diverging <- sum(subset(nuts_params(fit), Parameter == "divergent__")$Value)
cat(sprintf("%.3f %.3f %d brms %s\n", compiling, sampling, as.integer(diverging), packageVersion("brms")))
