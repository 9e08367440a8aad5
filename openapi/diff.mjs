// Runs api-smart-diff on pairs of specifications: [[before, after], ...] in, [[diff, ...], ...] out.

import { readFileSync, writeSync } from "node:fs";
import { apiCompare } from "api-smart-diff";

const pairs = JSON.parse(readFileSync(0, "utf8"));
writeSync(1, JSON.stringify(pairs.map(([before, after]) => apiCompare(before, after).diffs)));
