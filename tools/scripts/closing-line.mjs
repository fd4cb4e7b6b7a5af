/** A vitest reporter: failures in full, every skip with its reason, and `N passed, N failed, N skipped` as the last line. */

import { DefaultReporter } from 'vitest/node';

/** Groups the skipped tests by reason, so that a reason is printed once with its count. */
function reasonsOf(tests) {
  const reasons = new Map();
  for (const test of tests) {
    const note = test.result().note ?? (test.options.mode === 'skip' ? 'marked as skipped' : 'no reason given');
    const key = `${test.module.relativeModuleId}: ${note}`;
    reasons.set(key, (reasons.get(key) ?? 0) + 1);
  }
  return reasons;
}

export default class ClosingLine extends DefaultReporter {
  onTestRunEnd(modules, errors, reason) {
    super.onTestRunEnd(modules, errors, reason);
    const counts = { passed: 0, failed: 0, skipped: 0, pending: 0 };
    const skipped = [];
    for (const module of modules) {
      if (module.state() === 'failed' && module.children.size === 0) counts.failed += 1;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        counts[state] += 1;
        if (state === 'skipped') skipped.push(test);
      }
    }
    for (const [where, count] of reasonsOf(skipped)) console.log(`skipped ${count}: ${where}`);
    if (errors.length > 0) counts.failed += errors.length;
    console.log(`${counts.passed} passed, ${counts.failed + counts.pending} failed, ${counts.skipped} skipped`);
  }
}
