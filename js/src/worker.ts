// The worker in which the engine runs.
import { platform } from '@platform';
import { serve } from './server.js';

serve(platform);
