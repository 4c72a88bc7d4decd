// Loaded before each test file. The runner has every process that a test starts load its bookkeeping
// for coverage, a third of a second that nobody uses: they are started as they are in the field.
import { addListener } from 'process-on-spawn';

addListener((started) => {
  const { NODE_OPTIONS: _ofTheRunner, ...env } = started.env;
  started.env = env;
});
