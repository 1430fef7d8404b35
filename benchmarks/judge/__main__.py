from benchmarks.judge.run import main

main()
