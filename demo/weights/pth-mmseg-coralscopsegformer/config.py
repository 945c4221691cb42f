# mmsegmentation's model of the synthetic reef: a small ViT built as DINOv2's, timm's code, with SegFormer's head.
data_preprocessor = dict(
    type="SegDataPreProcessor",
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    pad_val=0,
    seg_pad_val=255,
    size=(392, 392),
    test_cfg=dict(size_divisor=14),
)
test_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="Resize", scale=(392, 392), keep_ratio=True, interpolation="area"),
    dict(type="LoadAnnotations"),
    dict(type="PackSegInputs"),
]
norm_cfg = dict(type="SyncBN", requires_grad=True)
model = dict(
    type="EncoderDecoder",
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type="TIMMBackbone",
        model_name="vit_small_patch14_dinov2",
        pretrained=False,
        features_only=True,
        out_indices=[0, 1, 2, 3],
        img_size=392,
        dynamic_img_size=True,
        embed_dim=128,
        depth=4,
        num_heads=4,
        init_values=1.0,
    ),
    decode_head=dict(
        type="SegformerHead",
        in_channels=[128, 128, 128, 128],
        in_index=[0, 1, 2, 3],
        channels=64,
        dropout_ratio=0.1,
        num_classes=17,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=dict(type="CrossEntropyLoss", use_sigmoid=False, loss_weight=1.0),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode="whole"),
)
default_scope = "mmseg"
