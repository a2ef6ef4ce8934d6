"""The engine's pure core: `decide` and `advance` say what becomes fact, `evolve` folds facts into the state they decide on."""
