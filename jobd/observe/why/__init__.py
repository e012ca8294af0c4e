"""Why something did not run, or has not yet: small named checks over frozen values, each a reason and a sentence."""
