/** Which functions of this workspace were called while a piece of code ran, by V8's precise coverage. */

import { Session } from 'node:inspector/promises';
import { fileURLToPath } from 'node:url';

/** Names of the called functions by package folder (`kernel`, `vm` …). */
export type CalledFunctions = ReadonlyMap<string, ReadonlySet<string>>;

const PLACE = /\/(?:packages|apps)\/([^/]+)\/src\//;

function packageOf(url: string): string | undefined {
  const path = url.startsWith('file:') ? fileURLToPath(url) : url;
  return PLACE.exec(path)?.[1];
}

/** Runs the code and returns the functions that it called. */
export async function calledFunctions(code: () => void | Promise<void>): Promise<CalledFunctions> {
  const session = new Session();
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false });
  await session.post('Profiler.takePreciseCoverage');
  try {
    await code();
    const { result } = await session.post('Profiler.takePreciseCoverage');
    const called = new Map<string, Set<string>>();
    for (const { url, functions } of result) {
      const name = packageOf(url);
      if (name === undefined) continue;
      const names = called.get(name) ?? new Set();
      called.set(name, names);
      for (const { functionName, ranges } of functions) if ((ranges[0]?.count ?? 0) > 0) names.add(functionName);
    }
    return called;
  } finally {
    await session.post('Profiler.stopPreciseCoverage');
    session.disconnect();
  }
}
