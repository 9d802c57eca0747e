"""Ships the configuration inside the package; all else is in setup.cfg.

The folder gin/ is the only copy. It has no __init__.py, with which it would be taken
for the module gin, so setuptools does not find it by itself.
"""

import setuptools

setuptools.setup(
    packages=[
        *setuptools.find_packages(include=["smoothie_tf", "smoothie_tf.*"]),
        "smoothie_tf.gin_files",
    ],
    package_dir={"smoothie_tf.gin_files": "gin"},
    package_data={
        "smoothie_tf": ["py.typed"],
        "smoothie_tf.gin_files": ["**/*.gin"],
    },
)
