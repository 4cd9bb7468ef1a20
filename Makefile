# The same as the scripts, for those who have make. A fresh machine needs only scripts/demo and scripts/test.
.PHONY: check test demo lint console bench soak
check: test

test:
	scripts/test

demo:
	scripts/demo

lint:
	scripts/setup test
	scripts/lint

console:
	scripts/setup test
	scripts/console-check

bench:
	scripts/setup test
	.venv/bin/python -m tests.bench.bench_switchboard
	.venv/bin/python -m tests.bench.bench_leg
	.venv/bin/python -m tests.bench.bench_kill
	.venv/bin/python -m tests.bench.bench_hotplug
	.venv/bin/python -m tests.bench.bench_drift

soak:
	scripts/setup test
	.venv/bin/python -m tests.bench.soak
