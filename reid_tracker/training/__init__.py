"""AlignedReID as a whole: network, losses, data, recipe, loop and export. Needs torch (the extra ``training``)."""
