"""What is missing because patients left: who and why, what values after leaving could have been, who was left.

All models here take values as missing at random given those recorded: the change reported is the one that would have
been seen had nobody left and the courses gone on as the model expects (a hypothetical estimand, ICH E9(R1)). What is
here shows how far from that the truth would have to be to change the answer.
"""
