"""Taking over from other schedulers: what their files say, when they would fire, and the same in jobd's words."""
