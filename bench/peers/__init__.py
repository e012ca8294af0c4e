"""Other queues beside jobd on the same disk in the same minutes: each in a program of its own, asked over a pipe."""
