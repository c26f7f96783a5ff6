/* Line icons on a 24 x 24 grid; all are decoration beside or in labelled controls. */

import type { ComponentChildren } from 'preact';

function Icon({ children, fill }: { children: ComponentChildren; fill?: boolean }) {
  return (
    <svg
      class="icon"
      viewBox="0 0 24 24"
      aria-hidden="true"
      fill={fill ? 'currentColor' : 'none'}
      stroke={fill ? 'none' : 'currentColor'}
      stroke-width="1.8"
      stroke-linecap="round"
      stroke-linejoin="round"
    >
      {children}
    </svg>
  );
}

export const FolderIcon = () => (
  <Icon>
    <path d="M3.5 18V6.5A1.5 1.5 0 0 1 5 5h4l2 2.5h8A1.5 1.5 0 0 1 20.5 9v9a1.5 1.5 0 0 1-1.5 1.5H5A1.5 1.5 0 0 1 3.5 18Z" />
  </Icon>
);
export const MicIcon = () => (
  <Icon>
    <rect x="9" y="3" width="6" height="11" rx="3" />
    <path d="M5.5 11.5a6.5 6.5 0 0 0 13 0M12 18v3" />
  </Icon>
);
export const LiveIcon = () => (
  <Icon>
    <path d="M3.5 6h9M3.5 11h6M3.5 16h4" />
    <path d="M13 15v-2M16.5 18v-8M20 15v-2" />
  </Icon>
);
export const SparkIcon = () => (
  <Icon>
    <path d="M4 10.5v3M8 7.5v9M12 4.5v15M16 8.5v7M20 10.5v3" />
  </Icon>
);
export const PlayIcon = () => (
  <Icon fill>
    <path d="M8 5.3v13.4c0 .8.9 1.3 1.6.8l10-6.7a1 1 0 0 0 0-1.6l-10-6.7c-.7-.5-1.6 0-1.6.8Z" />
  </Icon>
);
export const PauseIcon = () => (
  <Icon fill>
    <rect x="6.5" y="5" width="4" height="14" rx="1.2" />
    <rect x="13.5" y="5" width="4" height="14" rx="1.2" />
  </Icon>
);
export const StopIcon = () => (
  <Icon fill>
    <rect x="6" y="6" width="12" height="12" rx="2.5" />
  </Icon>
);
export const PenIcon = () => (
  <Icon>
    <path d="m5 19 .8-3.6L16 5.2a1.7 1.7 0 0 1 2.4 0l.4.4a1.7 1.7 0 0 1 0 2.4L8.6 18.2Z" />
  </Icon>
);
export const CopyIcon = () => (
  <Icon>
    <rect x="8.5" y="8.5" width="11" height="11" rx="2.2" />
    <path d="M15.5 8.5v-2a2 2 0 0 0-2-2h-7a2 2 0 0 0-2 2v7a2 2 0 0 0 2 2h2" />
  </Icon>
);
export const CheckIcon = () => (
  <Icon>
    <path d="m5 12.5 4.5 4.5L19 7.5" />
  </Icon>
);
export const SaveIcon = () => (
  <Icon>
    <path d="M12 4v11m0 0 4.5-4.5M12 15l-4.5-4.5M4.5 19.5h15" />
  </Icon>
);
export const MoreIcon = () => (
  <Icon fill>
    <circle cx="5.5" cy="12" r="1.8" />
    <circle cx="12" cy="12" r="1.8" />
    <circle cx="18.5" cy="12" r="1.8" />
  </Icon>
);
export const ChatIcon = () => (
  <Icon>
    <path d="M12 4.5c4.7 0 8.5 3 8.5 6.8S16.70 18.10 12 18.1c-.9 0-1.7-.1-2.5-.3L5 20l.9-3.7c-1.5-1.2-2.4-3-2.4-5C3.50 7.50 7.30 4.50 12 4.5Z" />
  </Icon>
);
export const SendIcon = () => (
  <Icon>
    <path d="M12 19.5V5m0 0-6 6m6-6 6 6" />
  </Icon>
);
export const PlusIcon = () => (
  <Icon>
    <path d="M12 5v14M5 12h14" />
  </Icon>
);
export const CloseIcon = () => (
  <Icon>
    <path d="m6 6 12 12M18 6 6 18" />
  </Icon>
);
export const AgainIcon = () => (
  <Icon>
    <path d="M19.50 12a7.50 7.50 0 1 1-2.3-5.4L19.50 9m0-4.5V9H15" />
  </Icon>
);
export const BinIcon = () => (
  <Icon>
    <path d="M5 7h14M10 7V5.2c0-.4.3-.7.7-.7h2.6c.4 0 .7.3.7.7V7m-7.50 0 .7 11.2c0 .7.6 1.30 1.30 1.3h7c.7 0 1.3-.6 1.3-1.3L17.50 7" />
  </Icon>
);
export const TuneIcon = () => (
  <Icon>
    <path d="M4 8h9m5 0h2M4 16h2m5 0h9" />
    <circle cx="15.5" cy="8" r="2.3" />
    <circle cx="8.5" cy="16" r="2.3" />
  </Icon>
);
export const ListIcon = () => (
  <Icon>
    <path d="M4.50 7h15M4.50 12h15M4.50 17h9" />
  </Icon>
);
export const ModelIcon = () => (
  <Icon>
    <path d="m12 3.50 7.50 4.2v8.6L12 20.5l-7.5-4.2V7.7Zm0 8.50 7.5-4.3M12 12v8.5M12 12 4.50 7.7" />
  </Icon>
);
export const LeftIcon = () => (
  <Icon>
    <path d="m14.50 6-6 6 6 6" />
  </Icon>
);
export const RightIcon = () => (
  <Icon>
    <path d="m9.50 6 6 6-6 6" />
  </Icon>
);
export const DownIcon = () => (
  <Icon>
    <path d="m6 9.50 6 6 6-6" />
  </Icon>
);
export const UploadIcon = () => (
  <Icon>
    <path d="M12 15.5V4.5m0 0L7.50 9M12 4.50 16.50 9M4.50 19.5h15" />
  </Icon>
);
export const ChartIcon = () => (
  <Icon>
    <path d="M4 4.5h6.5v4H4Zm0 11h9.5v4H4ZM4 10h16v4H4Z" />
  </Icon>
);
export const LockIcon = () => (
  <Icon>
    <rect x="5" y="10.5" width="14" height="9.5" rx="2.2" />
    <path d="M8 10.5V8a4 4 0 0 1 8 0v2.5" />
  </Icon>
);
export const SealedIcon = () => (
  <Icon>
    <path d="M12 3.5 5 6v5.5c0 4.3 2.9 7.3 7 9 4.1-1.7 7-4.7 7-9V6Z" />
    <path d="m8.8 12 2.2 2.2 4.2-4.4" />
  </Icon>
);
export const WarnIcon = () => (
  <Icon>
    <path d="M12 8.5v4.5m0 3.2v.1M10.6 4.6 3.4 17a1.6 1.6 0 0 0 1.4 2.4h14.4a1.6 1.6 0 0 0 1.4-2.4L13.4 4.6a1.6 1.6 0 0 0-2.8 0Z" />
  </Icon>
);
export const BackIcon = () => (
  <Icon>
    <path d="M10 6 4 12l6 6M4.5 12H20" />
  </Icon>
);
export const Logo = () => (
  <svg class="logo" viewBox="0 0 32 32" aria-hidden="true">
    <rect width="32" height="32" rx="9" fill="currentColor" />
    <path
      d="M7.5 14.5v3M12 11v10M16.5 7.5v17M21 12v8M25.5 14.5v3"
      stroke="var(--on-accent)"
      stroke-width="2.6"
      stroke-linecap="round"
    />
  </svg>
);
