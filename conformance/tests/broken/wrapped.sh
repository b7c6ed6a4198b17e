# What the broken runtimes share: the good runtime that each of them spoils, and the words of the
# call, which is in runc's dialect (--root ROOT VERB ... ID). Sourced, never run.
real=${SEATRIAL_REAL:-$(command -v crun || command -v runc)}
root=$2 verb=$3
for id; do :; done
bundle=$5 # of create
# The folder of the run, in a tmpfs that is gone with it.
work=${root%/*}
