"""`kelp up`: all models of one machine behind one V2 endpoint, each a process that sleeps while nobody asks for it."""
