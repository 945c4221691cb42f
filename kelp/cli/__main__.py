from kelp.cli import main

main()
