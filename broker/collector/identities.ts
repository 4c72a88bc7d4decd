export { initIdentity, segmentIdentity } from '../store/identities.ts';
