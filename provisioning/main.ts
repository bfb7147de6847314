#!/usr/bin/env node
import { runCli } from "./cli.ts";

const code = await runCli(process.argv.slice(2));
// `demo` ends as its own process did.
process.exitCode ??= code;
