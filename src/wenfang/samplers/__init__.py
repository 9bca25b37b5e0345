"""How each kind of model is drawn from: `sampler(predict, prompt, rng, watch)`."""
