# Lucky Gas appliance. Everything here installs what it needs, and says so.
SHELL := bash
.DEFAULT_GOAL := help
export HTTP_PORT HTTPS_PORT ROLE CMD

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: host ## Install the whole appliance in a local systemd container and print its URL
	@sandbox/sandbox up

converge: host ## Apply the playbook again to the running sandbox
	@sandbox/sandbox converge

verify: ## Run every role's self-check against the running sandbox
	@sandbox/sandbox verify

status: ## Show the units of the sandbox and its health
	@sandbox/sandbox status

url: ## Print the sandbox's URL alone
	@sandbox/sandbox url

shell: ## Open a root shell in the sandbox
	@sandbox/sandbox shell

exec: ## Run CMD='...' as root in the sandbox
	@sandbox/sandbox exec "$$CMD"

down: ## Throw the sandbox away, data and all
	@sandbox/sandbox down

check: host ## Linters, contract tests and the service's tests
	@tests/run check

molecule: host ## Test one role from nothing: ROLE=nginx (or default, the whole appliance)
	@tests/run molecule "$${ROLE:?say which: make molecule ROLE=nginx}"

system: host ## Break the whole appliance on purpose and watch it
	@tests/run system

test: host ## Everything, with a table of times at its end
	@tests/run all

bench: host ## Ratios, measured side by side in one run
	@tests/bench/run

lock: host ## Resolve the service's dependencies anew into its lock files
	@app/lock

host:
	@sandbox/host

.PHONY: help up converge verify status url shell exec down check molecule system test bench lock host
