//! Names: which container is called what on which network, what a query is answered with, and how what is not known
//! here is asked elsewhere. No I/O and no clock: messages and the time are handed in.
