{
  'targets': [{
    'target_name': 'lvmsync',
    'sources': [
      'native/addon.cc',
      'native/arguments.cc',
      'native/batch.cc',
      'native/batch_operation.cc',
      'native/content_tasks.cc',
      'native/crc32c.cc',
      'native/environment.cc',
      'native/file.cc',
      'native/file_tasks.cc',
      'native/input_task.cc',
      'native/operation.cc',
      'native/pages.cc',
      'native/plan.cc',
      'native/sha256.cc',
      'native/thin.cc',
      'native/thread.cc',
      'native/thread_backend.cc',
      'native/thread_pool.cc',
      'native/transfer.cc',
      'native/uring.cc',
      'native/uring_backend.cc',
      'native/zero_blocks.cc',
    ],
    'defines': [
      'NAPI_VERSION=8',
      'NAPI_DISABLE_CPP_EXCEPTIONS',
      'NODE_ADDON_API_DISABLE_DEPRECATED',
      # A worker that is being terminated can neither take an answer nor an exception.
      'NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS',
      # A worker that is being terminated can be thrown nothing: that is no reason to abort.
      'NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS',
    ],
    'cflags_cc': [
      '-std=gnu++17',
      '-Wall',
      '-Wextra',
      '-Werror',
      '-fvisibility=hidden',
      # Warnings are for our own code: the headers of others count as the system's.
      '-isystem', '<!(node -p "require(\'path\').dirname(require.resolve(\'node-addon-api\'))")',
      '-isystem', '<(node_root_dir)/include/node',
    ],
  }],
}
