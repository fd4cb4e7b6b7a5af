#!/usr/bin/env node
/** The program `bpftool-ts`. */

import process from 'node:process';
import { processIo } from './io.ts';
import { main } from './main.ts';

process.exitCode = main(process.argv.slice(2), processIo());
